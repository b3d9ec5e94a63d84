from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flamegraph.comparison import compare, split
from flamegraph.diff import render_diff, step_class
from flamegraph.options import RenderOptions
from tests.flamegraph.drawn import Drawn, frames_of, texts_of
from tests.flamegraph.profiles import profile

if TYPE_CHECKING:
    from flamegraph.profile import Profile

PLAIN = RenderOptions()
BEFORE = profile(("main;a", 60), ("main;b;c", 30), ("main;b;d", 10))
AFTER = profile(("main;a", 20), ("main;b;d", 10), ("main;e", 20))


def drawn(options: RenderOptions = PLAIN) -> dict[str, Drawn]:
    return {one.name: one for one in frames_of(render_diff(BEFORE, AFTER, options))}


def test_every_frame_says_how_its_own_total_changed() -> None:
    assert {name: one.said for name, one in drawn().items() if name != "all"} == {
        "main": "50 samples, 100.00%, -50, was 100, -50.0%",
        "a": "20 samples, 40.00%, -40, was 60, -66.7%",
        "b": "10 samples, 20.00%, -30, was 40, -75.0%",
        "d": "10 samples, 20.00%, unchanged",
        "e": "20 samples, 40.00%, new",
    }


def test_colour_follows_the_change_of_the_frames_own_total() -> None:
    assert {name: one.classes.split()[-2] for name, one in drawn().items() if name != "all"} == {
        "main": "u8",
        "a": "u7",
        "b": "u6",
        "d": "s0",
        "e": "r5",
    }


def test_normalised_totals_are_compared_as_shares() -> None:
    said = {name: one.said for name, one in drawn(RenderOptions(normalize=True)).items()}

    assert (said["main"], said["d"]) == (
        "50 samples, 100.00%, unchanged",
        "10 samples, 20.00%, +5, was 5, +100.0%",
    )


def test_vanished_frames_are_listed_with_their_callers() -> None:
    texts = texts_of(render_diff(BEFORE, AFTER, PLAIN))

    assert texts[texts.index("Vanished: 30 samples in 1 frames") + 1] == "30  c, called by b"


def test_of_a_vanished_tower_the_outermost_frame_is_listed() -> None:
    gone = compare(profile(("main;x;y;z", 3), ("main;x;w", 2), ("main", 1)), profile(("main", 1)), PLAIN).vanished

    assert [(one.frame.name, one.before) for one in gone] == [("x", 5)]


def test_nothing_changed_is_colourless() -> None:
    svg = render_diff(BEFORE, BEFORE, PLAIN)

    assert {one.classes.split()[-2] for one in frames_of(svg)[1:]} == {"s0"}
    assert "Vanished" not in svg


def test_equal_input_gives_equal_bytes() -> None:
    assert render_diff(BEFORE, AFTER, PLAIN) == render_diff(BEFORE, AFTER, PLAIN)


def test_profiles_that_count_different_things_are_not_compared() -> None:
    with pytest.raises(ValueError, match="a diff needs equal units, was samples before and objects after"):
        render_diff(BEFORE, profile(("a", 1), unit="objects"), PLAIN)


def test_one_count_is_no_diff() -> None:
    with pytest.raises(ValueError, match="the profile has one count a stack, a diff needs two"):
        split(BEFORE)


@pytest.mark.parametrize(("delta", "name"), [(100, "r8"), (-100, "u8"), (25, "r4"), (0.1, "s0"), (0, "s0")])
def test_a_step_follows_the_root_of_the_change(delta: float, name: str) -> None:
    assert name == step_class(delta, 100)


def test_from_nothing_everything_is_new() -> None:
    said = [one.said for one in frames_of(render_diff(profile(), AFTER, PLAIN))[1:]]

    assert all(text.endswith(", new") for text in said)


def test_to_nothing_everything_vanished() -> None:
    svg = render_diff(BEFORE, profile(), PLAIN)

    assert [one.name for one in frames_of(svg)] == ["all"]
    assert "100  main" in texts_of(svg)


@pytest.mark.parametrize(
    ("before", "options", "said"),
    [
        (profile(("a", 1), mode="cpu"), PLAIN, "a diff needs equal modes, was cpu before and wall after"),
        (profile(("a", 1), weights_after=[2]), PLAIN, "the profile before has two counts a stack"),
        (profile(("a", 1)), RenderOptions(layout="chart"), "a diff has the layout flame or icicle, was chart"),
    ],
)
def test_what_cannot_be_compared_is_refused(before: Profile, options: RenderOptions, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        render_diff(before, profile(("a", 2), mode="wall"), options)
