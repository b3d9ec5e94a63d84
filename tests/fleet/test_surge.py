"""The jump of a proxy's own rate."""

from __future__ import annotations

from fleet.registry import ProxyReading
from fleet.surge import Surge


def told(series: str, *points: tuple[int, int]) -> list[bool]:
    surge = Surge()
    return [surge.noticed(ProxyReading("p", series, at_ms, 1, arrivals)) for at_ms, arrivals in points]


def test_a_rate_that_doubles_between_two_reports_is_noticed() -> None:
    steady = [(500 * turn, 10 * turn) for turn in range(6)]

    assert [False] * 6 + [True] == told("a", *steady, (3000, 50 + 20))


def test_a_rate_just_below_twice_the_usual_is_not_noticed() -> None:
    steady = [(500 * turn, 10 * turn) for turn in range(6)]

    assert [False] * 7 == told("a", *steady, (3000, 50 + 19))


def test_a_handful_of_requests_after_silence_is_no_surge() -> None:
    assert [False] * 4 == told("a", (0, 0), (500, 0), (1000, 0), (1500, 9))
    assert [False, False, False, True] == told("a", (0, 0), (500, 0), (1000, 0), (1500, 10))


def test_a_surge_is_told_until_the_mean_has_caught_up() -> None:
    steady = [(500 * turn, 5 * turn) for turn in range(9)]
    burst = [(4000 + 500 * turn, 40 + 100 * turn) for turn in range(1, 8)]

    assert [True] * 4 + [False] * 3 == told("a", *steady, *burst)[9:]


def test_reports_close_together_are_taken_as_one() -> None:
    assert [False, False, False, False, True] == told("a", (0, 0), (500, 5), (600, 60), (1000, 14), (1500, 100))


def test_a_new_series_begins_anew() -> None:
    surge = Surge()
    for at_ms, arrivals in ((0, 0), (500, 5), (1000, 10)):
        surge.noticed(ProxyReading("p", "a", at_ms, 1, arrivals))

    assert not surge.noticed(ProxyReading("p", "b", 400, 1, 500))
