from __future__ import annotations

import json

import flamegraph
from flamegraph.info import Caller, as_json, as_text, summarize
from flamegraph.profile import Frame, FrameTotals, Profile
from tests.flamegraph.profiles import profile, shared

FRAMES = [Frame("work", "/srv/app/work.rb", 7), Frame("rack", "/g/gems/rack-2.2/lib/rack.rb", 3)]
FOUND = profile(("rack;work", 3), ("rack;work;work", 1), ("rack", 4), frames=FRAMES, mode="wall", interval=500)


def test_a_frame_counts_once_a_stack_in_its_total() -> None:
    found = summarize(FOUND)

    assert [(row.name, row.place, row.own, row.total) for row in found.top_self] == [
        ("rack", "/g/gems/rack-2.2/lib/rack.rb:3", 4, 8),
        ("work", "/srv/app/work.rb:7", 4, 4),
    ]
    assert (found.total, found.stacks, found.deepest) == (8, 3, 3)


def test_gems_have_their_own_percent_and_that_of_what_they_call() -> None:
    rows = summarize(FOUND).groups

    assert [(row.name, row.own_percent, row.total_percent) for row in rows] == [("rack 2.2", 50, 100), ("app", 50, 50)]


def test_callers_are_those_right_above() -> None:
    found = summarize(FOUND, callers="work")

    assert list(found.callers) == [
        Caller("rack", "/g/gems/rack-2.2/lib/rack.rb:3", 4),
        Caller("work", "/srv/app/work.rb:7", 1),
    ]
    assert summarize(FOUND, callers="rack").callers == [Caller("(root)", "", 8)]


def test_an_aggregated_dump_is_counted_by_its_totals() -> None:
    totals = [FrameTotals(3, 3), FrameTotals(1, 4, {0: 3})]
    found = summarize(Profile(FRAMES, [], [], [], totals=totals), callers="work")

    assert [(row.name, row.own, row.total) for row in found.top_total] == [("rack", 1, 4), ("work", 3, 3)]
    assert found.callers == [Caller("rack", "/g/gems/rack-2.2/lib/rack.rb:3", 3)]
    assert "stacks     none: aggregated" in as_text(found)


def test_a_real_dump_has_the_self_samples_that_stackprof_counted() -> None:
    raw = summarize(flamegraph.read(shared("stackprof/v0.2.27/wall-raw.dump")), top=1000)
    told = json.loads(shared("stackprof/v0.2.27/wall-raw.json").read_text())["frames"].values()
    expected: dict[str, int] = {}
    for frame in told:
        expected[frame["name"]] = expected.get(frame["name"], 0) + frame["samples"]
    found: dict[str, float] = {}
    for row in raw.top_self:
        found[row.name] = found.get(row.name, 0) + row.own

    assert expected == found


def test_json_holds_what_the_text_says_whatever_the_metadata_is() -> None:
    table = json.loads(as_json(summarize(flamegraph.read(shared("stackprof/metadata-all-types.dump")))))

    assert (table["mode"], table["total"], table["metadata"]["t"]) == ("wall", 49, "(Time)")


def test_an_empty_profile_has_empty_tables() -> None:
    assert "total      0 samples" in as_text(summarize(Profile([], [], [], [])))


def test_the_share_of_the_collector_is_that_of_what_is_weighed() -> None:
    seen = profile(("a", 30), ("(garbage collection);(marking)", 10), unit="microseconds", gc_samples=3)
    unlisted = profile(("a", 3), gc_samples=1)

    assert [summarize(each).gc_percent for each in (seen, unlisted, profile(("a", 3)))] == [25.0, 25.0, None]
