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

DRAWN = render(BEFORE, RenderOptions())


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
    rows = re.findall(
        r'y="13">([^<]*)</text><text class="n" [^>]*>([^<]*)<[^<]*<text class="n m" [^>]*>([^<]*)<', DRAWN
    )

    assert rows == [
        ("activerecord 7.1.2", "55.4%", "55.4%"),
        ("stdlib", "20.8%", "20.8%"),
        ("app", "14.9%", "91.1%"),
        ("GC", "8.9%", "8.9%"),
        ("rack 2.2.8", "0.0%", "91.1%"),
    ]


def test_a_long_name_is_cut_and_told_by_its_title() -> None:
    svg = legend.draw(
        [Share("some-gem-with-quite-a-name 10.2.3", 1, 1)], {"some-gem-with-quite-a-name 10.2.3": 0}, 600, 0
    )

    assert "<title>some-gem-with-quite-a-name 10.2.3</title>" in svg
    assert ">some-gem-with-quite-a-n…<" in svg


def test_rows_fill_column_by_column() -> None:
    shares = [Share(f"gem{index} 1", 10 - index, 10) for index in range(5)]
    numbers = {share.group: index for index, share in enumerate(shares)}

    svg = legend.draw(shares, numbers, 600, 0)

    places = re.findall(r'data-g="(\d)" transform="translate\((\d+) (\d+)\)"', svg)
    assert places == [("0", "0", "20"), ("1", "0", "38"), ("2", "0", "56"), ("3", "258", "20"), ("4", "258", "38")]
    assert legend.height(5, 600) == 20 + 3 * 18 + 8


def test_a_narrow_picture_has_one_column() -> None:
    assert legend.columns_for(120, 5) == 1


def test_all_of_it_needs_no_digits() -> None:
    drawn = legend.draw([Share("app", 999, 1000), Share("no file", 1, 1)], {"app": 0, "no file": 1}, 500, 0)

    assert ["99.9%", "100%", "0.1%", "0.1%"] == re.findall(r"[\d.]+%", drawn)
