from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.crash import Capture, Crash, Symptom, counted
from fleet.errors import SettingsError
from stoker.crash_lines import GIVEN_UP_S, crash_json, profile_word, row, rows, short_ids, shown, span_s
from tests.contracts.crashes import failure

WHERE = "app/models/order.rb:12:in share"
RAISED = Crash(
    failure("aaaaaaaaaa"), Capture("aaaaaaaaaa", "KeyError", "key not found: :x\nmore", WHERE, profiled=True)
)
BARE = Crash(failure("aaaaaaaaab"), Capture("aaaaaaaaab", "KeyError", None, WHERE, unprofiled="busy"))
GONE = Crash(failure("cccccccccc", status=None, failure=Symptom.ABORTED), reason="the app has no token")
OPEN = Crash(failure("dddddddddd"))
NOW = OPEN.failure.at + 1


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("30min", 1800), ("1h", 3600), ("2d", 172_800), ("1.5h", 5400)]
)
def test_a_span_has_a_unit(text: str, seconds: float) -> None:
    assert seconds == span_s(text)


@pytest.mark.parametrize("text", ["", "1", "h", "1y", "-1h", "0s", "1h30m", "inf", "1e9s"])
def test_another_span_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(SettingsError, match=r"--since: must be a span as 90s, 30m, 1h or 2d, was '[^\n]*'"):
        span_s(text)


def test_what_there_is_to_draw_is_one_word() -> None:
    assert ["profiled", "backtrace", "none", "waiting"] == [
        profile_word(each, NOW) for each in (RAISED, BARE, GONE, OPEN)
    ]


def test_an_old_crash_waits_for_nothing() -> None:
    assert "none" == profile_word(OPEN, OPEN.failure.at + GIVEN_UP_S + 1)


def test_the_table_names_request_exception_place_and_count_of_the_like() -> None:
    crashes = [RAISED, BARE, GONE]
    head, *lines = rows(crashes, counted(crashes), NOW)

    assert ["TIME", "ID", "REQUEST", "PROFILE", "LIKE", "EXCEPTION"] == head.split()
    assert lines[0].endswith(
        f"aaaaaaaaaa  GET /orders/1 500      profiled   2     KeyError at {WHERE}: key not found: :x"
    )
    assert lines[1].endswith(f"aaaaaaaaab  GET /orders/1 500      backtrace  2     KeyError at {WHERE}")
    assert lines[2].endswith("cccccccc    GET /orders/1 aborted  none       1     the app has no token")


def test_json_says_what_is_not_known_with_null() -> None:
    found = crash_json(OPEN, 1, NOW)

    assert (None, None, None, "waiting") == tuple(found[key] for key in ("exception", "message", "where", "profile"))
    assert json.loads(json.dumps(crash_json(RAISED, 2, NOW)))["message"] == "key not found: :x\nmore"


def test_nothing_that_a_terminal_obeys_is_printed() -> None:
    hostile = failure(path="/\x1b[31m\r\n", method="GET\x07")

    assert r"GET\x07 /\x1b[31m\r\n 500" in row(Crash(hostile), 1, NOW)


@given(st.text(), st.integers(1, 50))
def test_any_text_is_one_printable_line_of_its_length_at_most(text: str, chars: int) -> None:
    found = shown(text, chars)

    assert len(found) <= chars
    assert found.isprintable()


@given(st.sets(st.text("ab0", min_size=1, max_size=12), max_size=12))
def test_a_short_id_means_one_crash(ids: set[str]) -> None:
    found = short_ids(sorted(ids))

    for whole, short in found.items():
        assert whole.startswith(short)
        assert short == whole or [whole] == [each for each in ids if each.startswith(short)]
