from __future__ import annotations

import pytest

from addon.counter import MEAN_OVER, Moment, Totals, Upstream, reading


def upstream() -> Upstream:
    return Upstream("production1", "http://127.0.0.1:1", ("127.0.0.1", 1))


def test_the_mean_is_over_the_last_thousand_and_some() -> None:
    one = upstream()
    assert one.total_ms == 0
    for _ in range(MEAN_OVER):
        one.took(1.0)
    assert one.total_ms == pytest.approx(1000)
    for _ in range(MEAN_OVER):
        one.took(0.002)
    assert one.total_ms == pytest.approx(2)


def test_answers_are_counted_by_their_class() -> None:
    totals = Totals()
    for status in (200, 304, 404, 499, 500, 503):
        totals.answered(status)
    assert (totals.errors_4xx, totals.errors_5xx) == (2, 2)


def test_each_start_of_counting_is_a_series_of_its_own() -> None:
    assert Totals().series != Totals().series


def test_a_report_sums_what_is_in_flight_and_names_each_backend() -> None:
    one = upstream()
    one.in_flight, one.arrivals, one.errors, one.refused = 2, 9, 1, 3
    shown = reading(Totals("s", arrivals=10), [one], Moment("id", 500, 7, 4))
    assert (shown.id, shown.series, shown.uptime_ms, shown.generation) == ("id", "s", 500, 7)
    assert (shown.arrivals, shown.in_flight, shown.held) == (10, 2, 4)
    assert shown.backends is not None
    counted = shown.backends["production1"]
    assert (counted.arrivals, counted.errors, counted.refused, counted.in_flight) == (9, 1, 3, 2)


def test_a_report_names_what_is_in_flight_where_nothing_new_goes() -> None:
    serves, drains, replaced, empty = (upstream() for _ in range(4))
    serves.serving = True
    serves.name, empty.name = "production2", "production3"
    serves.in_flight, drains.in_flight, replaced.in_flight = 4, 2, 1
    shown = reading(Totals("s"), [replaced, drains, serves, empty], Moment("id", 500, 7, 0))
    assert {"production1": 3} == shown.leaving
