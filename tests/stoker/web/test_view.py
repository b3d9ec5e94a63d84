from __future__ import annotations

from fleet.registry import ProxyReading, Sighting
from stoker.web.view import LONGEST_TEXT, Gauge, View, changed, event, sample
from tests.stoker.web.rig import happening

ONE = [2, "serving", 1.0, "alpha", 100, "5ad0", "http://127.0.0.1:20001"]


def sight(arrivals: int, uptime_ms: int, errors: int = 0) -> Sighting:
    return Sighting((ProxyReading("a", "s1", uptime_ms, 1, arrivals, errors_5xx=errors, in_flight=3, held=1),))


def test_rates_come_from_the_proxies_own_clock() -> None:
    gauge, first = Gauge().read(100.0, sight(50, 10_000))
    _, second = gauge.read(102.0, sight(90, 12_000, errors=4))
    assert {"rps": None, "errors": None, "in_flight": 3, "held": 1} == first
    assert {"rps": 20.0, "errors": 2.0, "in_flight": 3, "held": 1} == second


def test_errors_that_come_and_go_are_told_until_there_were_none_for_a_while() -> None:
    gauge, told = Gauge(), list[bool]()
    for second in range(40):
        errors = 8 * min(second // 7, 3)  # some at once, each 7 s, until 21 s
        gauge, _ = gauge.read(100.0 + second, sight(100 * second, 1000 * second, errors))
        told.append(gauge.failing is not None)
    first, last = told.index(True), len(told) - told[::-1].index(True)
    assert [True] * (last - first) == told[first:last]
    assert last == 21 + 3 + 10


def test_no_proxy_is_no_data_and_not_zero() -> None:
    _, rates = Gauge().read(100.0, Sighting((), ("a",)))
    assert {"rps": None, "errors": None, "in_flight": None, "held": None} == rates


def test_only_what_differs_is_told() -> None:
    before: View = {"numbers": {"rps": 1.0, "held": 0}, "backends": {"a1": ONE, "a2": ONE, "a3": ONE}, "faults": []}
    after: View = {
        "numbers": {"rps": 2.0, "held": 0},
        "backends": {"a1": ONE, "a2": [5, *ONE[1:]], "a4": ONE},
        "faults": [],
    }
    assert {"numbers": {"rps": 2.0}, "backends": {"a3": None, "a2": 5, "a4": ONE}} == changed(before, after)


def test_what_is_no_longer_known_is_told_as_null() -> None:
    assert {"numbers": {"rps": None}} == changed({"numbers": {"rps": 1.0}}, {"numbers": {"rps": None}})


def test_requests_in_flight_that_nobody_knows_send_the_whole_entry() -> None:
    unknown = [None, *ONE[1:]]
    assert {"backends": {"a1": unknown}} == changed({"backends": {"a1": ONE}}, {"backends": {"a1": unknown}})


def test_nothing_changed_is_nothing_told() -> None:
    assert {} == changed({"numbers": {"rps": 1.0}}, {"numbers": {"rps": 1.0}})


def test_a_point_of_the_chart_without_numbers_is_a_hole() -> None:
    assert [12.3, None, None, None, None, None, None] == sample(12.34, {})


def test_texts_of_the_history_are_cut() -> None:
    line = event("1-1", happening("fault", "", "x" * 5000, "y" * 5000))
    assert [LONGEST_TEXT, LONGEST_TEXT] == [len(line["to"]), len(line["reasons"][0])]
