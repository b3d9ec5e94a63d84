from __future__ import annotations

import re

import pytest

from flamegraph import axis

KNOTS = [(0, 0), (10, 1000), (20, 4000)]


@pytest.mark.parametrize(
    ("length", "ticks", "step"),
    [(100, 10, 10), (101, 10, 20), (450_000, 10, 50_000), (1, 10, 1), (3_000_000, 4, 1_000_000)],
)
def test_a_step_is_1_2_or_5_times_a_power_of_ten(length: int, ticks: int, step: int) -> None:
    assert step == axis.step_us(length, ticks)


@pytest.mark.parametrize(("time", "place"), [(0, 0), (500, 5), (1000, 10), (2500, 15), (4000, 20)])
def test_a_time_lies_between_its_knots(time: int, place: float) -> None:
    assert place == axis.place_of(time, KNOTS)


def test_knots_at_one_time_are_one_place() -> None:
    assert axis.place_of(5, [(0, 5), (3, 5)]) == 0


def test_ticks_are_in_milliseconds() -> None:
    svg = axis.draw(KNOTS, 20, 1180, 100)

    assert re.findall(r'x="([\d.]+)" dx="4" y="13">([^<]*)<', svg)[:3] == [
        ("10.0", "0.0 ms"),
        ("305.0", "0.5 ms"),
        ("600.0", "1.0 ms"),
    ]


def test_without_times_there_is_no_axis() -> None:
    assert axis.draw((), 20, 1180, 100) == ""
