from __future__ import annotations

from dataclasses import replace

from flamegraph import caption
from flamegraph.narrow import Table
from flamegraph.options import RenderOptions
from tests.flamegraph.profiles import profile

PLAIN = RenderOptions()


def test_a_profile_of_allocations_says_which_were_taken_and_no_misses() -> None:
    seen = profile(("a", 9024), mode="object", interval=50, missed=442_176, unit="samples")

    assert caption.lines(seen, PLAIN) == ["9,024 samples · allocations, 1 of 50"]


def test_a_profile_of_unknown_making_says_only_how_much() -> None:
    assert caption.lines(profile(("a", 3)), PLAIN) == ["3 samples"]


def test_weights_of_time_leave_the_number_of_samples_to_be_said() -> None:
    seen = profile(("a", 2000), unit="microseconds", mode="wall", interval=1000, samples=2, missed=1)

    assert caption.lines(seen, PLAIN) == ["2,000 microseconds · wall clock every 1 ms · 2 samples · 1 missed"]


def test_the_layout_is_named_where_it_is_not_plain_to_see() -> None:
    assert caption.lines(profile(("a", 3)), RenderOptions(layout="chart")) == ["3 samples · in the order of time"]


def test_a_subtitle_of_ones_own_replaces_the_facts() -> None:
    assert caption.lines(profile(("a", 3)), RenderOptions(subtitle="mine")) == ["mine"]


def test_of_many_warnings_the_first_are_shown() -> None:
    seen = replace(profile(("a", 1)), warnings=[f"warning {index}" for index in range(6)])

    assert caption.lines(seen, PLAIN)[1:] == [*(f"warning {index}" for index in range(4)), "and 2 more warnings"]


def test_what_is_missing_from_the_table_is_said() -> None:
    said = caption.foot(Table("", "", 1200, 34), PLAIN)

    assert said == "1,234 frames under 0.0085 % are not drawn; search and zoom know 1,200 of them, 34 are missing"


def test_where_all_is_drawn_nothing_is_said() -> None:
    assert caption.foot(Table("", "", 0, 0), PLAIN) == ""
