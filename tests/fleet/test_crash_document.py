from __future__ import annotations

import gzip
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.crash import Capture, Source
from fleet.crash_document import (
    LINE_LIMIT,
    LINES_LIMIT,
    PACKED_LIMIT,
    RAW_LIMIT,
    TEXT_LIMIT,
    UNPACKED_LIMIT,
    app_frame,
    pack,
    read_document,
    replayed,
    unpack,
)
from tests.contracts.crashes import document

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=10,
)
KEYS = sorted(json.loads(document("c1")))


def read(**changes: object) -> dict[str, Any]:
    return dict(read_document(document("c1", **changes), "c1").content)


def exception(**changes: object) -> dict[str, object]:
    return {"class": "A", "message": "m", "backtrace": ["/srv/app/a.rb:1:in `b'"], "frames": 1, "cut": False} | changes


def test_a_document_of_the_middleware_is_kept_whole() -> None:
    assert json.loads(document("c1")) == read()
    assert (
        Capture("c1", "ZeroDivisionError", "divided by 0", "app/models/order.rb:12:in share", profiled=True)
        == read_document(document("c1"), "c1").capture
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stoker_crash": 2}, "not a crash document of version 1"),
        ({"id": "c2"}, "the document's id must be c1, was 'c2'"),
        ({"why": "because"}, "why must be one of raised, status, body, slow, was 'because'"),
        ({"profile": [1]}, "profile must be an object or null, was list"),
        ({"profile": None}, "a profiled crash must have a profile, was null"),
        ({"exception": "A"}, "exception must be an object or null, was str"),
        ({"exception": {"message": "x"}}, "exception must be null or an object with a class"),
        ({"request": 1}, "request must be an object or null, was int"),
        ({"profile": {"a": float("nan")}}, "not JSON: NaN is no JSON"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused_in_one_line(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        read(**changes)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b"\xff", b'"x"', b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000], ids=range(8)
)
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(not JSON: .*|not a crash document of version 1)$"):
        read_document(raw, "c1")


def test_what_is_too_long_or_too_deep_is_refused() -> None:
    with pytest.raises(ValueError, match=f"at most {RAW_LIMIT} bytes"):
        read_document(b" " * (RAW_LIMIT + 1), "c1")
    deep: list[object] = []
    for _ in range(40):
        deep = [deep]
    with pytest.raises(ValueError, match="at most 32 levels deep"):
        read(profile={"a": deep})


def test_texts_are_cut_at_their_limits_and_a_query_is_never_kept() -> None:
    lines = [f"/srv/app/{n}{'a' * 1000}.rb:1:in `b'" for n in range(LINES_LIMIT + 5)]
    long = exception(message="m" * 10_000, backtrace=lines, frames=2000)
    found = read(exception=long, request={"method": "GET", "path": "/a?token=hunter2"})
    assert (LINES_LIMIT, LINE_LIMIT, TEXT_LIMIT, True, 2000) == (
        len(found["exception"]["backtrace"]),
        len(found["exception"]["backtrace"][0]),
        len(found["exception"]["message"]),
        found["exception"]["cut"],
        found["exception"]["frames"],
    )
    assert [lines[0][:LINE_LIMIT], lines[-1][:LINE_LIMIT]] == found["exception"]["backtrace"][:: LINES_LIMIT - 1]
    assert "/a" == found["request"]["path"]


def test_a_lone_surrogate_can_be_written_anywhere() -> None:
    raw = document("c1", exception=exception()).replace(b'"m"', b'"\\ud800\\u0000"')
    message = read_document(raw, "c1").capture.message
    assert message is not None
    assert b"?" == message.encode("utf-8")


def test_a_message_that_is_switched_off_stays_none() -> None:
    assert read_document(document("c1", exception=exception(message=None)), "c1").capture.message is None


@given(st.dictionaries(st.sampled_from(KEYS), JSON))
def test_whatever_stands_in_a_document_it_is_read_or_refused_in_one_line(changes: dict[str, object]) -> None:
    try:
        found = read_document(document("c1", **changes), "c1")
        capture, packed = pack(found, {"backend": "b"})
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017  # either way is right
    else:
        assert capture.id == json.loads(unpack(packed))["id"]
        for value in (capture.exception, capture.where, capture.message or ""):
            value.encode("utf-8")


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_document(raw, "c1")


def test_what_is_too_large_to_keep_loses_its_profile_and_then_the_middle_of_its_backtrace() -> None:
    noise = random.Random(1)  # noqa: S311  # no secret
    digits = [noise.randrange(10**9) for _ in range(400_000)]
    capture, packed = pack(read_document(document("c1", profile={"raw": digits}), "c1"), {})
    kept = json.loads(unpack(packed))
    assert (None, False, "too large") == (kept["profile"], kept["profiled"], kept["unprofiled"])
    assert (False, "too large", "ZeroDivisionError") == (capture.profiled, capture.unprofiled, capture.exception)
    lines = ["".join(chr(noise.randrange(0x4E00, 0x9FFF)) for _ in range(500)) for _ in range(1000)]
    capture, packed = pack(read_document(document("c1", exception=exception(backtrace=lines, frames=1000)), "c1"), {})
    assert len(packed) <= PACKED_LIMIT
    kept = json.loads(unpack(packed))["exception"]
    assert (lines[:25] + lines[-25:], True, 1000) == (kept["backtrace"], kept["cut"], kept["frames"])
    assert lines[0] == capture.where


def test_a_replay_keeps_the_page_as_it_came() -> None:
    made = replayed("c1", "<html>\N{SNOWMAN}", {"why": "status", "request": {"method": "GET", "path": "/"}})
    capture, packed = pack(made, {})
    assert (Source.REPLAY, True, "") == (capture.source, capture.profiled, capture.exception)
    assert "<html>\N{SNOWMAN}" == json.loads(unpack(packed))["page"]


@pytest.mark.parametrize(
    "packed",
    [b"", b"x", gzip.compress(b"{}")[:-4], gzip.compress(b" " * (UNPACKED_LIMIT + 1))],
    ids=["empty", "text", "cut off", "too large"],
)
def test_what_cannot_be_unpacked_is_refused_in_one_line(packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"^a kept document must be [^\n]*$"):
        unpack(packed)


@pytest.mark.parametrize(
    ("backtrace", "root", "where"),
    [
        (["/srv/app/app/a.rb:1:in `b'"], "/srv/app", "app/a.rb:1:in b"),
        (["/srv/app/app/a.rb:1:in 'A#b'"], "/srv/app/", "app/a.rb:1:in A#b"),
        (["/gems/x.rb:1:in `y'", "/srv/app/a.rb:2"], "/srv/app", "a.rb:2"),
        (["/srv/app/vendor/bundle/x.rb:1:in `y'", "/srv/app/a.rb:2"], "/srv/app", "a.rb:2"),
        (["/usr/lib/ruby/x.rb:1", "/app.rb:2:in `z'"], "/", "app.rb:2:in z"),
        (["/srv/apple/a.rb:1:in `b'"], "/srv/app", "/srv/apple/a.rb:1:in b"),
        (["(eval):1:in `b'"], "/srv/app", "(eval):1:in b"),
        (["config.ru:7:in `call'", "/srv/app/stoker_crashes.rb:57:in `call'"], "/srv/app", "config.ru:7:in call"),
        (["<internal:kernel>:1:in `loop'", "(eval):1:in `b'", "./a.rb:2:in `c'"], "/srv/app", "./a.rb:2:in c"),
        (["/gems/x.rb:1:in `y'", "/srv/app/lib/stoker_crashes.rb:57:in `call'"], "/srv/app", "/gems/x.rb:1:in y"),
        ([], "/srv/app", ""),
    ],
)
def test_the_apps_topmost_frame_is_relative_to_its_root(backtrace: list[str], root: str, where: str) -> None:
    assert where == app_frame(backtrace, root)
