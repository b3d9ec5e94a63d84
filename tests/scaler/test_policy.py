"""The two policies by vectors: every boundary at which the count or a reason changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleet.meter import Load
from fleet.settings import PolicySettings
from scaler.policy import Observation, Recommendation, recommend

CALM = Load(
    stable_rps=0.0,
    panic_rps=0.0,
    stable_in_flight=0.0,
    panic_in_flight=0.0,
    in_flight=0,
    held=0,
    full=True,
    idle=False,
)
PLAIN = PolicySettings(min=0, max=100, tolerance=0.0, stabilisation_s=0.0, step_up_add=100, step_down_factor=1000)


def seen(desired: int, rps: float | None = None, **values: Any) -> Observation:
    """Steady traffic on a fleet that is as large as desired; fields of Load and of Observation by name."""
    load = replace(CALM, stable_rps=rps, panic_rps=rps)
    load = replace(load, **{name: values.pop(name) for name in list(values) if hasattr(load, name)})
    return Observation(**{"load": load, "desired": desired, "serving": desired, "ordered": 0, **values})


def count(policy: PolicySettings, what: Observation) -> int:
    return recommend(policy, what).count


def plain(**sizes: Any) -> PolicySettings:
    return PolicySettings(**{**PLAIN.model_dump(), **sizes})


@pytest.mark.parametrize(
    ("rps", "desired", "expected"),
    [
        (100.0, 10, 10),
        (100.1, 10, 11),
        (101.0, 10, 11),
        (99.9, 10, 10),
        (90.0, 10, 9),
        (90.1, 10, 10),
        (0.1, 1, 1),
        (10.0, 1, 1),
        (10.000000001, 1, 1),
        (10.00001, 1, 2),
        (1000.0, 1, 100),
        (999.0, 1, 100),
        (0.0, 1, 1),
    ],
)
def test_a_count_is_the_load_by_the_target_rounded_up(rps: float, desired: int, expected: int) -> None:
    assert expected == count(PLAIN, seen(desired, rps, panic_rps=0.0))


@pytest.mark.parametrize(
    ("rps", "expected"),
    [
        (110.0, 10),
        (110.1, 12),
        (90.0, 10),
        (80.1, 10),  # nine would do, and nine is within a tenth of ten
        (80.0, 8),
        (100.0, 10),
    ],
)
def test_a_load_within_the_tolerance_changes_nothing_and_one_beyond_does(rps: float, expected: int) -> None:
    assert expected == count(plain(tolerance=0.1), seen(10, rps))


def test_the_tolerance_is_named_only_where_it_bit() -> None:
    policy = plain(tolerance=0.1)
    assert ("105.0 rps at target 10", "tolerance: within 10% of 10") == recommend(policy, seen(10, 105.0)).reasons
    assert ("99.0 rps at target 10",) == recommend(policy, seen(10, 99.0)).reasons
    assert ("100.0 rps at target 10",) == recommend(policy, seen(10, 100.0)).reasons


def test_from_nothing_there_is_no_tolerance() -> None:
    assert 1 == count(plain(tolerance=0.9), seen(0, 0.5))


@pytest.mark.parametrize(
    ("rps", "in_flight", "expected"),
    [(50.0, 4.0, 5), (10.0, 20.0, 5), (50.0, 20.0, 5), (0.0, 0.0, 1), (0.0, 41.0, 11)],
)
def test_of_two_signals_the_larger_wins(rps: float, in_flight: float, expected: int) -> None:
    policy = plain(target_in_flight=4.0, min=1)
    assert expected == count(policy, seen(1, rps, panic_rps=0.0, stable_in_flight=in_flight))


@pytest.mark.parametrize(
    ("rps", "in_flight", "said"),
    [
        (25.0, 12.0, "12.0 in flight at target 4"),
        (25.0, 4.0, "25.0 rps at target 10"),
        (30.0, 12.0, "12.0 in flight at target 4"),
        (None, 12.0, "12.0 in flight at target 4"),
    ],
)
def test_of_two_signals_the_one_that_decides_is_told(rps: float | None, in_flight: float, said: str) -> None:
    assert (said,) == recommend(plain(target_in_flight=4.0), seen(3, rps, stable_in_flight=in_flight)).reasons


def test_in_flight_alone_decides_while_there_is_no_rate_yet() -> None:
    assert 3 == count(plain(target_in_flight=4.0), seen(1, None, stable_in_flight=12.0))


def test_in_flight_may_be_the_only_signal() -> None:
    policy = plain(target_rps=None, target_in_flight=4.0)
    assert (3, ("12.0 in flight at target 4",)) == (
        count(policy, seen(1, 500.0, stable_in_flight=12.0)),
        recommend(policy, seen(1, 500.0, stable_in_flight=12.0)).reasons,
    )


@pytest.mark.parametrize(("rush", "burst"), [(19.9, False), (20.0, True), (25.0, True)])
def test_a_burst_is_the_threshold_times_what_serves(rush: float, burst: bool) -> None:
    found = recommend(PLAIN, seen(1, 5.0, panic_rps=rush))
    assert (burst, 1 if not burst else -int(-rush // 10)) == (found.burst, found.count)


def test_with_nothing_serving_a_burst_is_measured_against_one() -> None:
    assert recommend(PLAIN, seen(0, 0.0, panic_rps=20.0)).burst
    assert not recommend(PLAIN, seen(0, 0.0, panic_rps=19.0)).burst


def test_a_burst_is_measured_against_what_serves_not_against_what_is_ordered() -> None:
    assert recommend(PLAIN, seen(10, 5.0, panic_rps=40.0, serving=2, ordered=8)).burst


def test_in_a_panic_the_count_never_falls_below_its_peak() -> None:
    found = recommend(PLAIN, seen(8, 20.0, panicking=True, peak=8))
    assert (8, False) == (found.count, found.burst)
    assert "panic: not below 8 until 60 s without a burst" in found.reasons


def test_a_count_at_the_peak_of_a_panic_needs_no_reason() -> None:
    assert ("80.0 rps at target 10",) == recommend(PLAIN, seen(8, 80.0, panicking=True, peak=8)).reasons


def test_a_peak_counts_only_in_a_panic() -> None:
    assert 2 == count(PLAIN, seen(8, 20.0, panicking=False, peak=8))
    assert 0 == count(PLAIN, seen(1, 0.0, panicking=True, idle=True))


def test_in_a_panic_the_larger_of_the_windows_counts() -> None:
    assert 6 == count(PLAIN, seen(2, 60.0, panic_rps=30.0, panicking=True, peak=2))
    assert 6 == count(PLAIN, seen(2, 30.0, panic_rps=60.0, panicking=True, peak=2))


def test_without_a_panic_the_short_window_changes_nothing() -> None:
    assert 5 == count(PLAIN, seen(5, 50.0, panic_rps=90.0))


def test_no_data_holds_within_the_bounds() -> None:
    reasons = "no data from any proxy: holding"
    assert Recommendation(4, 4, burst=False, reasons=(reasons,)) == recommend(PLAIN, seen_nothing(4))
    assert 2 == count(plain(min=2), seen_nothing(0))
    assert 3 == count(plain(max=3), seen_nothing(9))


def seen_nothing(desired: int) -> Observation:
    return Observation(None, desired, desired, 0)


def test_no_rate_yet_is_no_reason_to_go_down() -> None:
    found = recommend(PLAIN, seen(4, None, full=False))
    assert (4, ("no rate yet", "not down: no full window of 60 s yet")) == (found.count, found.reasons)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"full": False}, "not down: no full window of 60 s yet"),
        ({"keep": "proxy p is missing"}, "not down: proxy p is missing"),
        ({"draining": 2}, "not down: 2 still draining"),
    ],
)
def test_the_way_down_is_closed_and_says_why(values: dict[str, Any], reason: str) -> None:
    found = recommend(PLAIN, seen(4, 10.0, **values))
    assert (4, ("10.0 rps at target 10", reason)) == (found.count, found.reasons)


@pytest.mark.parametrize("values", [{"full": False}, {"keep": "proxy p is missing"}, {"draining": 2}])
def test_what_closes_the_way_down_leaves_the_way_up_open(values: dict[str, Any]) -> None:
    assert 8 == count(PLAIN, seen(4, 80.0, **values))


@pytest.mark.parametrize(("recent", "expected"), [(None, 1), (1, 1), (3, 3), (4, 4), (9, 4)])
def test_the_way_down_ends_at_the_largest_recent_need(recent: int | None, expected: int) -> None:
    assert expected == count(PLAIN, seen(4, 10.0, recent=recent))


def test_a_stabilisation_that_leaves_everything_as_it_is_gives_no_other_reason() -> None:
    found = recommend(plain(stabilisation_s=120.0, tolerance=0.1), seen(4, 10.0, recent=4))
    assert ("10.0 rps at target 10", "stabilisation: 4 were needed within 120 s") == found.reasons


def test_the_stabilisation_says_what_it_waits_for() -> None:
    found = recommend(plain(stabilisation_s=120.0), seen(4, 10.0, recent=3))
    assert ("10.0 rps at target 10", "stabilisation: 3 were needed within 120 s") == found.reasons


def test_a_small_way_down_that_the_stabilisation_leaves_is_within_the_tolerance() -> None:
    found = recommend(plain(tolerance=0.1), seen(10, 10.0, recent=9))
    assert (10, "tolerance: 9 is within 10% of 10") == (found.count, found.reasons[-1])


@pytest.mark.parametrize(
    ("desired", "serving", "rps", "expected"),
    [
        (1, 1, 1000.0, 10),
        (2, 2, 1000.0, 20),
        (0, 0, 1000.0, 4),
        (1, 0, 1000.0, 4),
        (20, 2, 1000.0, 20),
        (30, 2, 1000.0, 30),
        (1, 1, 50.0, 5),
    ],
)
def test_one_step_up_is_limited_by_what_serves(desired: int, serving: int, rps: float, expected: int) -> None:
    policy = plain(step_up_add=4)
    assert expected == count(policy, seen(desired, rps, serving=serving))


def test_the_step_up_says_what_was_wanted() -> None:
    assert "step: 100 wanted, at most 10 from 1 serving" in recommend(plain(step_up_add=4), seen(1, 1000.0)).reasons


@pytest.mark.parametrize(("desired", "expected"), [(10, 5), (9, 4), (3, 1), (2, 1), (1, 1)])
def test_one_step_down_halves_at_most(desired: int, expected: int) -> None:
    assert expected == count(plain(step_down_factor=2.0), seen(desired, 0.5))


def test_the_step_down_says_what_was_wanted() -> None:
    assert "step: 1 wanted, at least 5 from 10" in recommend(plain(step_down_factor=2.0), seen(10, 0.5)).reasons


@pytest.mark.parametrize(
    ("rps", "expected", "reason"),
    [
        (1000.0, 7, "max: 100 wanted, 7 allowed"),
        (71.0, 7, "max: 8 wanted, 7 allowed"),
        (70.0, 7, ""),
        (30.0, 3, ""),
        (20.0, 3, "min: 2 would do, 3 are kept"),
    ],
)
def test_the_bounds_hold_and_say_so(rps: float, expected: int, reason: str) -> None:
    found = recommend(plain(min=3, max=7), seen(5, rps))
    named = [text for text in found.reasons if text.startswith(("max", "min"))]
    assert (expected, [reason] if reason else []) == (found.count, named)


def test_a_lowered_maximum_holds_at_once_without_a_window() -> None:
    assert 3 == count(plain(max=3, step_down_factor=1.5), seen(9, 900.0, full=False))


def test_zero_only_once_idle_for_the_whole_window() -> None:
    assert (0, 1) == (count(PLAIN, seen(1, 0.0, idle=True)), count(PLAIN, seen(1, 0.0)))
    assert 1 == count(PLAIN, seen(3, 0.0))
    assert "not to zero: not idle for the whole window" in recommend(PLAIN, seen(3, 0.0)).reasons


def test_a_held_request_wakes_an_empty_fleet_before_there_is_a_rate() -> None:
    found = recommend(PLAIN, seen(0, 0.0, held=1))
    assert (1, "1 held and nothing serves") == (found.count, found.reasons[-1])
    assert 0 == count(PLAIN, seen(0, 0.0))


def test_held_requests_are_no_reason_while_something_serves() -> None:
    assert ("0.0 rps at target 10", "not to zero: not idle for the whole window") == (
        recommend(PLAIN, seen(1, 0.0, held=1)).reasons
    )


def test_held_requests_do_not_lower_a_need() -> None:
    assert 4 == count(PLAIN, seen(0, 40.0, held=3))


def test_the_need_is_what_the_short_window_asks_for() -> None:
    assert (10, 3) == (
        recommend(PLAIN, seen(10, 95.0, panic_rps=21.0)).count,
        recommend(PLAIN, seen(10, 95.0, panic_rps=21.0)).need,
    )


THRESHOLD = plain(kind="threshold", up_rps=12.0, down_rps=6.0)


@pytest.mark.parametrize(
    ("serving", "rps", "expected"),
    [
        (1, 12.0, 1),
        (1, 12.1, 2),
        (3, 36.0, 3),
        (3, 36.1, 4),
        (3, 12.0, 3),
        (3, 11.9, 2),
        (2, 6.0, 2),
        (2, 5.9, 1),
        (1, 0.0, 1),
        (0, 0.0, 0),
        (0, 0.1, 1),
    ],
)
def test_threshold_goes_one_by_one(serving: int, rps: float, expected: int) -> None:
    assert expected == count(THRESHOLD, seen(serving, rps))


def test_threshold_starts_one_at_a_time() -> None:
    found = recommend(THRESHOLD, seen(2, 100.0, serving=1, ordered=1))
    assert (2, "one start at a time") == (found.count, found.reasons[-1])


def test_threshold_orders_no_second_one_before_the_first_is_ordered() -> None:
    assert 2 == count(THRESHOLD, seen(2, 100.0, serving=1, ordered=0))


def test_threshold_goes_up_while_another_drains() -> None:
    assert 3 == count(THRESHOLD, seen(2, 100.0, draining=1))


def test_threshold_says_what_it_compared() -> None:
    assert ("36.1 rps on 3 serving is above up_rps 12",) == recommend(THRESHOLD, seen(3, 36.1)).reasons
    assert ("11.0 rps on 2 would be below down_rps 6",) == recommend(THRESHOLD, seen(3, 11.0)).reasons
    assert ("20.0 rps on 3 serving is between down_rps and up_rps",) == recommend(THRESHOLD, seen(3, 20.0)).reasons


def test_threshold_waits_a_stable_window_on_the_way_down() -> None:
    found = recommend(THRESHOLD, seen(3, 5.0, recent=3))
    assert (3, "stabilisation: 3 were needed within 60 s") == (found.count, found.reasons[-1])


def test_threshold_goes_to_zero_only_when_idle() -> None:
    found = recommend(THRESHOLD, seen(1, 0.0, idle=True))
    assert (0, 0, ("idle for 60 s",)) == (found.count, found.need, found.reasons)
    assert 1 == count(plain(kind="threshold", min=1), seen(1, 0.0, idle=True))


def test_threshold_holds_without_a_rate() -> None:
    assert (3, ("no rate yet",)) == (
        count(THRESHOLD, seen(3, None)),
        recommend(THRESHOLD, seen(3, None)).reasons,
    )


@pytest.mark.parametrize(
    "what",
    [
        seen(1, 1000.0),
        seen(2, 1000.0, ordered=1),
        seen(3, 1.0),
        seen(2, 20.0),
        seen(1, 0.0, idle=True),
        seen(3, None),
    ],
)
def test_threshold_knows_no_burst(what: Observation) -> None:
    assert not recommend(THRESHOLD, what).burst


def test_threshold_goes_up_from_what_serves_where_that_is_more_than_desired() -> None:
    assert 4 == count(THRESHOLD, seen(2, 100.0, serving=3))


def test_threshold_lowers_nothing_while_it_is_overloaded() -> None:
    assert 5 == count(THRESHOLD, seen(5, 100.0, serving=1))


def test_threshold_has_no_tolerance() -> None:
    assert 9 == count(plain(kind="threshold", tolerance=0.5), seen(10, 50.0))


def test_threshold_at_one_that_is_not_idle_says_so() -> None:
    assert ("0.0 rps on 1 serving is between down_rps and up_rps",) == recommend(THRESHOLD, seen(1, 0.0)).reasons
