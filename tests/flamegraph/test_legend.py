from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamegraph import legend
from flamegraph.groups import Share
from flamegraph.options import RenderOptions
from flamegraph.svg import render
from tests.flamegraph.redraw import BEFORE


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=60).filter(any))
def test_self_percents_sum_to_100(values: list[int]) -> None:
    assert sum(legend.exact_percents(values)) == pytest.approx(100)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=60).filter(any))
def test_a_percent_is_at_most_a_tenth_off(values: list[int]) -> None:
    for value, percent in zip(values, legend.exact_percents(values), strict=True):
        assert abs(100 * value / sum(values) - percent) < 0.1


def test_of_nothing_each_part_is_nothing() -> None:
    assert legend.exact_percents([0, 0]) == [0, 0]


def test_rows_are_sorted_by_what_they_take_themselves() -> None:
    rows = re.findall(r"<title>([^<]*%[^<]*itself[^<]*)</title>", render(BEFORE, RenderOptions()))

    assert rows == [
        "activerecord 7.1.2: 55.4% itself, 55.4% with what it calls",
        "stdlib: 20.8% itself, 20.8% with what it calls",
        "app: 14.9% itself, 91.1% with what it calls",
        "GC: 8.9% itself, 8.9% with what it calls",
        "rack 2.2.8: 0.0% itself, 91.1% with what it calls",
    ]


def test_rows_fill_column_by_column() -> None:
    shares = [Share(f"gem{index} 1", 10 - index, 10) for index in range(5)]
    numbers = {share.group: index for index, share in enumerate(shares)}

    svg = legend.draw(shares, numbers, 600, 0)

    places = re.findall(r'data-g="(\d)" transform="translate\((\d+) (\d+)\)"', svg)
    assert places == [("0", "0", "20"), ("1", "0", "38"), ("2", "0", "56"), ("3", "258", "20"), ("4", "258", "38")]
    assert legend.height(5, 600) == 20 + 3 * 18 + 8


def test_a_narrow_picture_has_one_column() -> None:
    assert legend.columns_for(120, 5) == 1
