from __future__ import annotations

import pytest

from flamegraph.profile import ProfileError
from flamegraph.readers.columns import Rect, stacks_of


def test_a_column_is_a_stack() -> None:
    # The frame 2 spans the parents 0 and 1.
    stacks, order, widths = stacks_of([Rect(0, 0, 2, 0), Rect(2, 0, 2, 1), Rect(1, 1, 2, 2)])

    assert [stacks[each] for each in order] == [(0,), (0, 2), (1, 2), (1,)]
    assert widths == [1, 1, 1, 1]


def test_equal_neighbours_are_one_entry_and_gaps_none() -> None:
    stacks, order, widths = stacks_of([Rect(0, 3, 1, 0), Rect(1, 3, 2, 0), Rect(5, 3, 1, 0)])

    assert ([stacks[each] for each in order], widths) == ([(0,)], [4])


@pytest.mark.parametrize("rect", [Rect(-1, 0, 1, 0), Rect(0, -1, 1, 0), Rect(0, 0, 0, 0)])
def test_what_cannot_be_drawn_is_refused(rect: Rect) -> None:
    with pytest.raises(ProfileError, match=r"^rectangle 1: "):
        stacks_of([Rect(0, 0, 1, 0), rect])


def test_a_width_of_millions_costs_nothing() -> None:
    assert stacks_of([Rect(0, 0, 10**15, 0)])[2] == [10**15]
