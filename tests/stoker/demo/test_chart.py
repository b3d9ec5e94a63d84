from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stoker.demo.chart import area, columns


def test_a_value_holds_until_the_next_one_and_the_future_is_unknown() -> None:
    points = [(0.0, 1.0), (2.5, 4.0), (4.5, 2.0)]
    assert [1.0, 1.0, 4.0, 4.0, 2.0, None, None, None] == columns(points, 8.0, 8)


def test_nothing_seen_is_nothing_known() -> None:
    assert [None, None] == columns([], 8.0, 2)


def test_the_highest_row_comes_first_and_zero_leaves_a_line() -> None:
    assert ["  ▄█", "▁███"] == area([0.0, 8.0, 12.0, 16.0], 16.0, 2)


def test_an_unknown_value_leaves_its_column_empty() -> None:
    assert [" ", " "] == area([None], 16.0, 2)


@given(st.lists(st.none() | st.floats(allow_nan=False), max_size=20), st.integers(1, 6))
def test_every_row_is_as_wide_as_there_are_values(values: list[float | None], rows: int) -> None:
    drawn = area(values, 10.0, rows)
    assert [len(values)] * rows == [len(row) for row in drawn]
