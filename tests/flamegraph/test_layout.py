from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flamegraph.layout import lay_out
from flamegraph.options import Layout, RenderOptions
from flamegraph.profile import Frame
from tests.flamegraph.profiles import profile

if TYPE_CHECKING:
    from flamegraph.layout import Picture
    from flamegraph.profile import Profile

SEEN = profile(("main;b", 2), ("main;a", 5), ("main;b", 1), ("main;b;c", 4))


def rows(picture: Picture) -> list[tuple[int, float, float, str]]:
    return [(depth, x, w, picture.frames[frame].name) for depth, x, w, frame, _ in picture.spans]


def laid(seen: Profile, layout: Layout, min_percent: float = 0) -> Picture:
    return lay_out(seen, RenderOptions(layout=layout, min_percent=min_percent))


def test_a_flame_graph_is_sorted_by_name_and_a_frames_own_weight_lies_left() -> None:
    assert rows(laid(SEEN, "flame")) == [
        (1, 0, 12, "main"),
        (2, 0, 5, "a"),
        (2, 5, 7, "b"),
        (3, 8, 4, "c"),
    ]


def test_a_chart_keeps_the_order_of_time() -> None:
    assert rows(laid(SEEN, "chart")) == [
        (1, 0, 12, "main"),
        (2, 0, 2, "b"),
        (2, 2, 5, "a"),
        (2, 7, 5, "b"),
        (3, 8, 4, "c"),
    ]


def test_left_heavy_puts_the_heavier_sibling_left_and_a_frames_own_weight_right() -> None:
    assert rows(laid(SEEN, "left-heavy")) == [
        (1, 0, 12, "main"),
        (2, 0, 7, "b"),
        (2, 7, 5, "a"),
        (3, 0, 4, "c"),
    ]


def test_reversed_shows_the_callers_of_leaves() -> None:
    assert rows(laid(SEEN, "reversed")) == [
        (1, 0, 5, "a"),
        (1, 5, 3, "b"),
        (1, 8, 4, "c"),
        (2, 0, 5, "main"),
        (2, 5, 3, "main"),
        (2, 8, 4, "b"),
        (3, 8, 4, "main"),
    ]


def test_a_reversed_c_function_has_the_group_of_its_heaviest_caller() -> None:
    frames = [Frame("Rack#call", "/gems/rack-2.2/r.rb"), Frame("Cart#total", "app/c.rb"), Frame("each", "<cfunc>")]
    picture = laid(profile(("Rack#call;each", 1), ("Cart#total;each", 2), frames=frames), "reversed")

    assert [picture.groups[span[4]] for span in picture.spans] == ["app", "app", "rack 2.2"]


def test_frames_are_one_by_name_file_and_line() -> None:
    twice = profile(("main", 1))
    doubled = type(twice)(
        [Frame("a", "x.rb", 1), Frame("a", "x.rb", 1), Frame("a", "x.rb", 2)], [(0,), (1,), (2,)], [0, 1, 2], [1, 1, 1]
    )

    assert [w for _, _, w, _ in rows(laid(doubled, "flame"))] == [2, 1]


def test_narrow_frames_are_not_drawn_but_remembered() -> None:
    picture = laid(profile(("main;a", 99), ("main;b", 1)), "flame", min_percent=2)

    assert rows(picture) == [(1, 0, 100, "main"), (2, 0, 99, "a")]
    assert [(picture.frames[span[3]].name, span[1], span[2]) for span in picture.narrow] == [("b", 99, 1)]


@pytest.mark.parametrize("layout", ["flame", "icicle", "chart", "left-heavy", "reversed"])
def test_a_stack_of_2048_frames_is_laid_out(layout: Layout) -> None:
    picture = laid(profile((";".join(f"f{i}" for i in range(2048)), 1)), layout)

    assert picture.depth == len(picture.spans) == 2048


@pytest.mark.parametrize("layout", ["flame", "chart", "left-heavy", "reversed"])
def test_nothing_seen_is_nothing_drawn(layout: Layout) -> None:
    assert laid(profile(), layout).spans == []


def test_a_chart_of_known_times_has_an_axis() -> None:
    timed = profile(("a", 1), ("b", 2), starts_us=[0, 900], stopped_us=2500)

    assert laid(timed, "chart").knots == [(0, 0), (1, 900), (3, 2500)]


def test_the_last_sample_without_an_end_lasts_one_interval() -> None:
    timed = profile(("a", 1), ("b", 1), starts_us=[0, 900], interval=1000)

    assert laid(timed, "chart").knots[-1] == (2, 1900)


def test_other_layouts_have_no_axis() -> None:
    assert laid(profile(("a", 1), starts_us=[0], stopped_us=9), "flame").knots == ()


def test_weights_may_be_fractions() -> None:
    assert rows(laid(profile(("a", 0.5), ("a;b", 0.25)), "flame")) == [(1, 0, 0.75, "a"), (2, 0.5, 0.25, "b")]
