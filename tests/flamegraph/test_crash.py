from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flamegraph
from flamegraph.cli import main
from flamegraph.crash_depth import DEEP
from flamegraph.crash_document import parse, place_of
from flamegraph.crash_path import method
from flamegraph.groups import stack_weights
from flamegraph.profile import ProfileError
from tests.flamegraph.crash_documents import (
    APP,
    BACKTRACE,
    FOLDER,
    RECORDED,
    START,
    document,
    profile_of,
    recorded,
    table,
)

if TYPE_CHECKING:
    from pathlib import Path

    from flamegraph.profile import Profile


def names(profile: Profile, stack: tuple[int, ...]) -> list[str]:
    return [profile.frames[index].name for index in stack]


def weights(profile: Profile) -> dict[str, float]:
    stacks = (";".join(names(profile, stack)) for stack in profile.stacks)
    return {name: weight for name, weight in zip(stacks, stack_weights(profile), strict=True) if weight}


def test_a_wait_of_a_page_is_as_long_as_it_was() -> None:
    profile = profile_of(document(table((1000, (1, 2)), (2000, (1, 2, 3))), lasted_us=202_000))

    assert {
        "Puma::Server#run;CartsController#show": 2000,
        "Puma::Server#run;CartsController#show;Kernel#sleep": 200_000,
    } == weights(profile)
    assert ("microseconds", 2, 202_000) == (profile.unit, profile.samples, profile.stopped_us)


def test_the_backtrace_goes_on_where_the_samples_leave_it() -> None:
    profile = profile_of(document(table((1000, (1, 2, 4)), (2000, (1, 2, 3)))))

    assert [
        "Puma::Server#run",
        "CartsController#show",
        "Cart#total",
        "price cart.rb:31",
        "KeyError",
    ] == names(profile, profile.raised.stack)
    assert 5 == profile.raised.lines[profile.raised.stack[1]]


def test_a_sampled_method_tells_the_class_of_one_that_was_raised_elsewhere() -> None:
    profile = profile_of(document(table((1000, (1, 4)))))

    assert ["Puma::Server#run", "CartsController#show cart.rb:5", "block in Cart#total cart.rb:22"] == names(
        profile, profile.raised.stack[:3]
    )


def test_the_backtrace_weighs_nothing() -> None:
    with_it = profile_of(document(table((1000, (1, 2)), (2000, (1, 2, 3)))))
    without = profile_of(document(table((1000, (1, 2)), (2000, (1, 2, 3))), exception=None))

    assert weights(without) == weights(with_it)


def test_a_crash_without_samples_is_its_backtrace() -> None:
    profile = profile_of(document(unprofiled="busy"))

    assert ["run server.rb:12", "show cart.rb:5", "block in total cart.rb:22", "price cart.rb:31", "KeyError"] == names(
        profile, profile.raised.stack
    )
    assert "backtrace only: busy" in profile.raised.said


def test_samples_from_before_the_request_are_cut_off_and_said() -> None:
    profile = profile_of(document(table((-900, (1, 2, 4)), (-400, (1, 2, 4)), (1000, (1, 2)))))

    assert {"Puma::Server#run;CartsController#show": 10_000} == weights(profile)
    assert ["2 samples from before the request are of an earlier one: they are cut off"] == profile.warnings


def test_processor_time_is_counted_in_samples() -> None:
    profile = profile_of(document(table((-900, (1,)), (1000, (1, 2)), (5000, (1, 2)), mode="cpu"), threads="mixed"))

    assert {"Puma::Server#run;CartsController#show": 2} == weights(profile)
    assert any(said.startswith("threads: mixed: stackprof 0.2.26 samples every thread") for said in profile.raised.said)


@pytest.mark.parametrize("times", [None, [], [START], ["x", "y"], [START, None]])
def test_without_sound_times_samples_are_counted_and_that_is_said(times: object) -> None:
    profile = profile_of(document(table((1000, (1, 2)), (2000, (1, 2)), raw_sample_timestamps=times)))

    assert {"Puma::Server#run;CartsController#show": 2} == weights(profile)
    assert "no times are known: widths are samples, not time" in profile.warnings


def test_a_profile_that_is_none_leaves_the_backtrace_and_a_warning() -> None:
    profile = profile_of(document({"frames": 7}))

    assert 5 == len(profile.raised.stack)
    assert "its profile is not sound, so it is not drawn" in profile.warnings[0]


def test_what_was_cut_out_of_a_backtrace_is_a_frame() -> None:
    exception = {"class": "E", "message": None, "backtrace": BACKTRACE, "frames": 12_004, "cut": True}
    profile = profile_of(document(exception=exception))

    assert ["run server.rb:12", "show cart.rb:5", "… 12,000 frames left out", "block in total cart.rb:22"] == names(
        profile, profile.raised.stack[:4]
    )


def test_a_replay_is_drawn_and_labelled() -> None:
    page = f"<html><script>var graph = {json.dumps(table((0, (1, 2)), (1000, (1, 2))))};</script></html>"
    profile = profile_of(document(exception=None, page=page, proxy={"source": "replay"}))

    assert {"Puma::Server#run;CartsController#show": 2} == weights(profile)
    assert "replay, not the failed request" in profile.raised.said


def test_another_version_is_refused_by_its_number() -> None:
    with pytest.raises(ProfileError, match="a crash document must be of version 1, was 2"):
        profile_of({"stoker_crash": 2})


def test_what_was_said_names_the_request_the_time_and_the_versions() -> None:
    profile = profile_of(document(table((1000, (1, 2))), proxy={"backend": "web3", "failure": "broken"}))

    assert "KeyError in GET /carts/7" == profile.title
    assert [
        "KeyError: key not found: :price",
        "GET /carts/7 · 500 · broken off · 2024-11-23 07:07:58 UTC · took 10 ms · on web3 · ruby 3.3.8",
        "1 sample, wall clock every 1 ms · widths are time",
        "the profile covers the request until the app returned",
    ] == list(profile.raised.said[:4])


@pytest.mark.parametrize("name", RECORDED)
def test_every_line_of_a_recorded_backtrace_is_on_the_way_in_order(name: str) -> None:
    value = json.loads(recorded(name))
    profile = profile_of(value)
    places = [place_of(line) for line in reversed(value["exception"]["backtrace"])]
    stack = profile.raised.stack
    if value["exception"]["frames"] > DEEP:
        assert any(name.endswith("frames left out") for name in names(profile, stack))
        return
    way = iter((method(name.partition(" app.rb:")[0].rpartition(" ")[2]) if ":" in name else method(name), name)
               for name in names(profile, stack))  # fmt: skip

    for place in places:
        assert any(method(place.label) in (bare, method(full.rsplit(" ", 1)[0])) for bare, full in way), place


@pytest.mark.parametrize("name", [name for name in RECORDED if name.startswith("wall_")])
def test_a_recorded_request_weighs_as_long_as_it_took(name: str) -> None:
    request = json.loads(recorded(name))["request"]
    profile = flamegraph.read(recorded(name))

    assert request["stopped_at_us"] - request["started_at_us"] == sum(profile.weights)


def test_a_recorded_page_that_slept_200_ms_shows_them_in_sleep() -> None:
    found = weights(flamegraph.read(recorded("wall_waiting")))

    assert 180_000 <= sum(weight for stack, weight in found.items() if stack.endswith(";Kernel#sleep")) <= 220_000


@pytest.mark.parametrize("name", ["wall_invoice", "cpu_invoice"])
def test_a_recorded_page_that_burned_a_known_time_shows_its_shares(name: str) -> None:
    found = weights(flamegraph.read(recorded(name)))
    most, least = (sum(w for stack, w in found.items() if f"Invoice#{part};" in stack) for part in ("most", "least"))

    assert 0.65 < most / (most + least) < 0.85
    assert 0.95 < (most + least) / sum(w for stack, w in found.items() if not stack.startswith("(garbage"))


@pytest.mark.parametrize("name", ["wall_overflow", "cpu_overflow"])
def test_a_recorded_overflow_stands_on_its_root(name: str) -> None:
    profile = flamegraph.read(recorded(name))
    roots = {profile.frames[stack[0]].name for stack in profile.stacks if stack}

    assert roots <= {"Puma::ThreadPool#spawn_thread", "(garbage collection)"}
    assert max(map(len, profile.stacks)) <= DEEP + 1


JUNK: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
LINE = (
    st.sampled_from([*BACKTRACE, "", ":1", "x:1:in `", f"{APP}:99999999999999:in `y'", "a\nb:3:in `c\nd'"]) | st.text()
)


@settings(deadline=None, max_examples=300)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "request": st.fixed_dictionaries({}, optional={"path": JUNK, "started_at_us": JUNK, "status": JUNK}) | JUNK,
            "exception": st.fixed_dictionaries(
                {}, optional={"class": JUNK, "message": JUNK, "backtrace": st.lists(LINE, max_size=6) | JUNK,
                              "frames": JUNK, "cut": JUNK, "cause": JUNK}
            ) | JUNK,
            "profile": st.fixed_dictionaries(
                {}, optional=dict.fromkeys(table((0, (1,))), JUNK) | {"raw_lines": JUNK}
            ).map(lambda junk: table((5, (1, 2)), (9, (1, 2, 4))) | junk) | JUNK,
            **dict.fromkeys(("at", "why", "threads", "stopped", "versions", "proxy", "page", "unprofiled"), JUNK),
        },
    )
)  # fmt: skip
def test_any_document_is_drawn(parts: dict[str, object]) -> None:
    svg = flamegraph.render(profile_of(document() | parts))

    assert svg.endswith("</svg>\n")


@given(JUNK)
def test_anything_else_is_refused_by_its_version(value: object) -> None:
    with pytest.raises(ProfileError, match="a crash document must be of version 1, was "):
        parse(value)


def test_the_command_draws_a_packed_document_by_its_content(tmp_path: Path) -> None:
    file, out = tmp_path / "crash", tmp_path / "out.svg"
    file.write_bytes((FOLDER / "wall_waiting.json.gz").read_bytes())

    assert 0 == main(["render", str(file), "-o", str(out)])
    assert "RuntimeError in GET /waiting" in out.read_text(encoding="utf-8")


def test_the_command_draws_a_backtrace_alone(tmp_path: Path) -> None:
    out = tmp_path / "out.svg"

    assert 0 == main(["render", str(FOLDER / "cpu_deep.json.gz"), "-o", str(out)])
    assert "Delivery::Lost in GET /deep" in out.read_text(encoding="utf-8")
