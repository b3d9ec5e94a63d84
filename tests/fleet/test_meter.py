"""The meter: rates and gauges over windows, from counters that lie, restart, fall silent and come back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.meter import Load, Window, observe
from fleet.registry import ProxyReading, Sighting

STABLE_S, PANIC_S = 60.0, 4.0
STABLE_LOOKS = 70  # a second apart: until the window holds nothing of what was before


def reading(proxy: str = "p", arrivals: int = 0, **values: Any) -> ProxyReading:
    filled = {"series": "s", "generation": 0, "uptime_ms": 0, **values}
    return ProxyReading(id=proxy, arrivals=arrivals, **filled)


@dataclass
class Meter:
    """A window that is looked through again and again; `now` goes on by itself."""

    window: Window = field(default_factory=Window)
    now: float = 1000.0
    load: Load | None = None

    def see(self, *readings: ProxyReading, silent: tuple[str, ...] = (), after_s: float = 1.0) -> Load | None:
        self.now += after_s
        self.window, self.load = observe(
            self.window, self.now, Sighting(readings, silent), stable_s=STABLE_S, panic_s=PANIC_S
        )
        return self.load

    def told(self, *readings: ProxyReading, silent: tuple[str, ...] = (), after_s: float = 1.0) -> Load:
        load = self.see(*readings, silent=silent, after_s=after_s)
        assert load is not None
        return load

    def steady(self, rps: int, seconds: int, proxy: str = "p", **values: Any) -> Load:
        track = self.window.tracks.get(proxy)
        arrivals, uptime_ms = (track.arrivals, track.uptime_ms) if track else (0, 0)
        for second in range(1, seconds + 1):
            told = reading(proxy, arrivals + rps * second, uptime_ms=uptime_ms + 1000 * second, **values)
            load = self.told(told)
        return load


def test_nobody_reports_is_no_data() -> None:
    assert None is Meter().see()


def test_the_first_sight_of_a_proxy_counts_nothing() -> None:
    load = Meter().told(reading(arrivals=1_000_000, uptime_ms=90_000))
    assert (None, None) == (load.stable_rps, load.panic_rps)


def test_a_rate_is_the_difference_by_the_proxys_own_clock() -> None:
    meter = Meter()
    meter.told(reading(arrivals=100, uptime_ms=5_000))
    load = meter.told(reading(arrivals=130, uptime_ms=7_000), after_s=2.7)
    assert (15.0, 15.0) == (load.stable_rps, load.panic_rps)


def test_a_short_history_is_averaged_over_what_there_is() -> None:
    meter = Meter()
    meter.told(reading())
    assert 20.0 == meter.steady(20, 6).stable_rps


def test_the_two_windows_see_a_step_at_their_own_pace() -> None:
    meter = Meter()
    meter.steady(10, 100)
    load = meter.steady(50, 4)
    assert 50.0 == load.panic_rps
    assert pytest.approx((56 * 10 + 4 * 50) / 60, rel=0.01) == load.stable_rps


def test_a_rate_sinks_to_nothing_once_the_window_has_passed() -> None:
    meter = Meter()
    meter.steady(10, 70)
    assert 0.0 == meter.steady(0, 5).panic_rps
    assert 0.0 == meter.steady(0, 56).stable_rps


def test_a_lost_write_costs_nothing() -> None:
    meter = Meter()
    meter.steady(10, 10)
    last = meter.window.tracks["p"]
    stale = reading(arrivals=last.arrivals, uptime_ms=last.uptime_ms)
    for _ in range(3):
        meter.told(stale)
    load = meter.told(reading(arrivals=last.arrivals + 40, uptime_ms=last.uptime_ms + 4_000))
    assert 10.0 == load.stable_rps


def test_a_new_series_counts_its_new_value() -> None:
    meter = Meter()
    meter.told(reading(arrivals=1000, uptime_ms=100_000))
    meter.told(reading(arrivals=1010, uptime_ms=101_000))
    load = meter.told(reading(arrivals=30, uptime_ms=1_000, series="t"))
    assert 20.0 == load.stable_rps


def test_a_smaller_value_counts_as_a_new_one() -> None:
    meter = Meter()
    meter.told(reading(arrivals=1000, uptime_ms=100_000))
    assert 6.0 == meter.told(reading(arrivals=6, uptime_ms=101_000)).stable_rps
    assert 6.0 == meter.told(reading(arrivals=12, uptime_ms=102_000)).stable_rps


def test_a_reading_from_before_the_last_one_counts_nothing() -> None:
    meter = Meter()
    meter.told(reading(arrivals=1000, uptime_ms=100_000))
    meter.told(reading(arrivals=1010, uptime_ms=101_000))
    assert 10.0 == meter.told(reading(arrivals=980, uptime_ms=98_000)).stable_rps
    assert 10.0 == meter.told(reading(arrivals=1030, uptime_ms=103_000)).stable_rps


def test_a_restarted_proxy_does_not_count_for_the_time_in_which_another_took_its_requests() -> None:
    meter = Meter()
    meter.told(reading("a"), reading("b"))
    for second in range(1, 31):
        meter.told(reading("a", 20 * second, uptime_ms=1000 * second), silent=("b",))
    returned = reading("b", 10, uptime_ms=1000, series="new")
    load = meter.told(reading("a", 610, uptime_ms=31_000), returned)
    assert 20.0 == pytest.approx(load.stable_rps)


def test_what_arrived_while_nothing_could_be_seen_is_not_idleness() -> None:
    meter = Meter()
    for second in range(61):
        meter.told(reading(uptime_ms=1000 * second))
    load = meter.told(reading(arrivals=500, uptime_ms=110_000), after_s=50.0)
    for second in range(111, 140):
        load = meter.told(reading(arrivals=500, uptime_ms=1000 * second))
    assert not load.idle
    assert load.stable_rps


def test_a_proxy_that_joins_does_not_make_the_rate_jump() -> None:
    meter = Meter()
    for second in range(31):
        meter.told(reading("a", 20 * second, uptime_ms=1000 * second))
    meter.told(reading("a", 610, uptime_ms=31_000), reading("b", 10, uptime_ms=1_000))
    load = meter.told(reading("a", 620, uptime_ms=32_000), reading("b", 20, uptime_ms=2_000))
    assert 620 / 32 + 10 / 32 == pytest.approx(load.stable_rps)


@pytest.mark.parametrize(("hole_s", "joined_s"), [(66, 19), (66, 60), (300, 299)])
def test_who_joins_while_another_cannot_be_seen_is_not_counted_beside_what_it_took_over(
    hole_s: int, joined_s: int
) -> None:
    meter = Meter()
    meter.steady(60, 61)
    alone_s = hole_s - joined_s
    for second in range(1, hole_s + 1):
        joined = second - alone_s
        seen = [reading("q", 30 * joined, uptime_ms=1000 * joined)] if joined >= 0 else []
        meter.see(*seen, silent=("p",))
    back = reading(arrivals=60 * (61 + alone_s) + 30 * (joined_s + 1), uptime_ms=1000 * (61 + hole_s + 1))
    load = meter.told(back, reading("q", 30 * (joined_s + 1), uptime_ms=1000 * (joined_s + 1)))
    assert 60 == pytest.approx(load.stable_rps, rel=0.03)
    assert 60 == pytest.approx(load.panic_rps, rel=0.03)


@pytest.mark.parametrize(("hole_s", "joined_s", "seen_s"), [(66, 1, 0), (66, 64, 0), (66, 30, 3), (300, 200, 1)])
def test_who_joins_in_a_hole_and_is_first_seen_after_it_is_not_counted_beside_what_it_took_over(
    hole_s: int, joined_s: int, seen_s: int
) -> None:
    meter = Meter()
    meter.steady(60, 61)
    loads = []
    for second in range(STABLE_LOOKS):
        alone_s, joined = 61 + hole_s - joined_s, joined_s + second
        back = reading(arrivals=60 * alone_s + 30 * joined, uptime_ms=1000 * (alone_s + joined))
        other = reading("q", 30 * joined, uptime_ms=1000 * joined)
        seen = (back, other) if second >= seen_s else (back,)
        load = meter.told(*seen, after_s=1.0 if second else hole_s)
        loads += [load] if second > seen_s else []
    assert all(pytest.approx(60, rel=0.05) == load.stable_rps for load in loads)
    assert all((load.panic_rps or 0.0) < 63 for load in loads)


def test_who_served_all_through_a_hole_and_is_first_seen_after_it_counts_in_full() -> None:
    meter = Meter()
    meter.steady(30, 61)
    for second in range(STABLE_LOOKS):
        both = (
            reading(arrivals=30 * (127 + second), uptime_ms=1000 * (127 + second)),
            reading("q", 30 * (900 + second), uptime_ms=1000 * (900 + second)),
        )
        load = meter.told(*both, after_s=1.0 if second else 66.0)
        assert second == 0 or pytest.approx(60) == load.stable_rps


def test_who_ends_after_a_hole_is_not_counted_over_it_for_longer_than_who_took_its_requests() -> None:
    meter = Meter()
    for second in range(61):
        meter.told(*(reading(proxy, 30 * second, uptime_ms=1000 * second) for proxy in ("ends", "stays")))
    meter.told(*(reading(proxy, 30 * 126, uptime_ms=126_000) for proxy in ("ends", "stays")), after_s=66.0)
    for second in range(1, STABLE_LOOKS):
        stays = reading("stays", 30 * 126 + 60 * second, uptime_ms=126_000 + 1000 * second)
        load = meter.told(stays, silent=("ends",))
        assert pytest.approx(60) == load.stable_rps


def test_who_could_not_be_seen_and_ends_right_after_it_is_not_counted_beside_who_was_seen_all_the_time() -> None:
    meter = Meter()
    for second in range(61):
        meter.told(*(reading(proxy, 30 * second, uptime_ms=1000 * second) for proxy in ("ends", "stays")))
    for second in range(61, 141):
        meter.told(reading("stays", 30 * second, uptime_ms=1000 * second), silent=("ends",))
    meter.told(*(reading(proxy, 30 * 141, uptime_ms=141_000) for proxy in ("ends", "stays")))
    for second in range(1, STABLE_LOOKS):
        stays = reading("stays", 30 * 141 + 60 * second, uptime_ms=141_000 + 1000 * second)
        load = meter.told(stays, silent=("ends",))
        assert pytest.approx(60, rel=0.03) == load.stable_rps


def test_proxies_are_added_up() -> None:
    meter = Meter()
    meter.told(reading("a"), reading("b", arrivals=500, uptime_ms=9_000))
    load = meter.told(
        reading("a", 10, uptime_ms=1_000, in_flight=2, held=1),
        reading("b", 530, uptime_ms=10_000, in_flight=3),
    )
    assert (40.0, 5, 1) == (load.stable_rps, load.in_flight, load.held)


def test_a_new_proxy_is_no_spike() -> None:
    meter = Meter()
    meter.steady(10, 20)
    last = meter.window.tracks["p"]
    known = reading(arrivals=last.arrivals + 10, uptime_ms=last.uptime_ms + 1_000)
    assert 10.0 == meter.told(known, reading("q", arrivals=1_000_000, uptime_ms=60_000)).stable_rps


def test_a_silent_proxy_keeps_its_gauges_and_adds_no_rate() -> None:
    meter = Meter()
    meter.steady(10, 70, in_flight=4, held=2)
    load = meter.told(reading("q"), silent=("p",))
    assert (4, 2) == (load.in_flight, load.held)
    rates = [
        meter.told(reading("q", uptime_ms=1000 * second), silent=("p",)).stable_rps or 0.0 for second in range(1, 70)
    ]
    assert sorted(rates, reverse=True) == rates
    assert 0.0 == rates[-1]
    assert (4, 2, False) == (meter.told(reading("q"), silent=("p",)).in_flight, load.held, load.idle)


def test_a_silent_proxy_that_was_never_seen_is_nothing() -> None:
    assert 0 == Meter().told(reading("q"), silent=("p",)).in_flight


def test_all_silent_is_no_data_and_not_zero() -> None:
    meter = Meter()
    meter.steady(10, 5)
    assert None is meter.see(silent=("p",))


def test_a_proxy_that_left_takes_its_gauges_along() -> None:
    meter = Meter()
    meter.told(reading("p", in_flight=5), reading("q"))
    assert 0 == meter.told(reading("q")).in_flight


def test_after_a_short_gap_the_rate_covers_it_too() -> None:
    meter = Meter()
    meter.steady(10, 30)
    last = meter.window.tracks["p"]
    for _ in range(20):
        meter.see(silent=("p",))
    load = meter.told(reading(arrivals=last.arrivals + 210, uptime_ms=last.uptime_ms + 21_000))
    assert (10.0, 10.0) == (load.stable_rps, load.panic_rps)


@pytest.mark.parametrize(("looks", "full"), [(60, False), (61, True)])
def test_a_window_is_full_once_it_is_covered(looks: int, full: bool) -> None:
    meter = Meter()
    assert full == meter.steady(1, looks).full


def test_a_gap_as_long_as_the_window_begins_it_again() -> None:
    meter = Meter()
    meter.steady(1, 70)
    for _ in range(60):
        meter.see(silent=("p",))
    assert not meter.steady(1, 60).full
    assert meter.steady(1, 1).full


def test_idle_is_no_arrival_and_nothing_in_flight_for_the_whole_window() -> None:
    meter = Meter()
    assert not meter.steady(0, 60).idle
    assert meter.steady(0, 1).idle
    meter.told(reading(arrivals=1, uptime_ms=62_000))
    assert not meter.steady(0, 59).idle
    assert meter.steady(0, 2).idle
    assert not meter.steady(0, 1, in_flight=1).idle
    assert not meter.steady(0, 59).idle
    assert meter.steady(0, 3).idle


def test_held_requests_count_in_the_means_of_in_flight() -> None:
    meter = Meter()
    load = meter.steady(0, 10, in_flight=3, held=4)
    assert (7.0, 7.0) == (load.stable_in_flight, load.panic_in_flight)


def test_the_short_mean_covers_the_short_window_only() -> None:
    meter = Meter()
    meter.steady(0, 56, in_flight=0)
    load = meter.steady(0, 4, in_flight=30)
    assert (2.0, 24.0) == (load.stable_in_flight, load.panic_in_flight)


def test_looks_in_quick_succession_share_a_point() -> None:
    meter = Meter()
    meter.steady(10, 5)
    before = len(meter.window.gauge)
    last = meter.window.tracks["p"]
    for _ in range(20):
        meter.told(reading(arrivals=last.arrivals, uptime_ms=last.uptime_ms), after_s=0.01)
    assert before + 2 >= len(meter.window.gauge)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**6),
            st.integers(0, 10**7),
            st.sampled_from("st"),
            st.floats(0.0, 90.0),
            st.booleans(),
            st.integers(0, 9),
        ),
        max_size=40,
    )
)
def test_no_history_of_counters_gives_a_rate_below_nothing_or_a_window_that_grows(
    looks: list[tuple[int, int, str, float, bool, int]],
) -> None:
    meter = Meter()
    for arrivals, uptime_ms, series, after_s, speaks, in_flight in looks:
        told = (reading(arrivals=arrivals, uptime_ms=uptime_ms, series=series, in_flight=in_flight),)
        load = meter.see(*(told if speaks else ()), silent=() if speaks else ("p",), after_s=after_s)
        assert speaks == (load is not None)
        if load is not None:
            assert all(rate is None or rate >= 0 for rate in (load.stable_rps, load.panic_rps))
            assert not (load.idle and load.in_flight)
        assert len(meter.window.gauge) <= 2 + STABLE_S / 0.1


@given(st.integers(1, 50), st.integers(2, 30), st.integers(1, 5))
def test_however_often_it_looks_the_rate_of_steady_traffic_is_that_traffic(rps: int, seconds: int, looks: int) -> None:
    meter = Meter()
    meter.told(reading())
    for tick in range(1, seconds * looks + 1):
        uptime_ms = tick * 1000 // looks
        told = reading(arrivals=rps * uptime_ms // 1000, uptime_ms=uptime_ms)
        load = meter.told(told, after_s=1 / looks)
    assert load.stable_rps is not None
    assert pytest.approx(rps, abs=2) == load.stable_rps


def test_who_falls_silent_gives_its_requests_to_the_others_and_is_not_counted_on() -> None:
    meter = Meter()
    meter.told(reading("stays"), reading("ends"))
    meter.told(reading("stays", 20, uptime_ms=1000), ended := reading("ends", 20, uptime_ms=1000))
    rates = [
        meter.told(reading("stays", 20 + 40 * seconds, uptime_ms=1000 + 1000 * seconds), ended).panic_rps
        for seconds in (1, 2, 3)
    ]
    assert pytest.approx([50.0, 46.7, 43.0], abs=0.1) == rates


def test_a_report_that_is_a_little_late_costs_nothing() -> None:
    meter = Meter()
    meter.told(reading())
    meter.told(late := reading(arrivals=40, uptime_ms=1000))
    assert pytest.approx(40.0) == meter.told(late).stable_rps


@pytest.mark.parametrize("back", ["s", "another"])
def test_a_proxy_that_is_seen_for_less_than_a_window_may_have_had_requests_before(back: str) -> None:
    meter = Meter()
    for _ in range(70):
        load = meter.told(reading("a"))
    assert load.idle
    for second in range(61):
        load = meter.told(reading("a"), reading("b", uptime_ms=9000 + 1000 * second, series=back))
        assert load.idle == (second == 60)
