from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fleet.registry import Happening
from stoker.demo.client import Kind
from stoker.demo.load import Ended
from stoker.demo.record import Record, Sample, Shape, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

SHAPE = Shape(100.0)


def record(serving: Sequence[int], happenings: Sequence[Happening] = ()) -> Record:
    """One sample every ten seconds."""
    samples = [Sample(10.0 * at, {"serving": count}, 5.0, 0, 0, None) for at, count in enumerate(serving)]
    return Record(SHAPE, 1000.0, samples, list(happenings))


FOLLOWING = record([1, 1, 4, 5, 6, 6, 6, 3, 1, 1])
GOOD = Ended(Kind.NEW, 1000.0, 1000.1, "shop1")


@pytest.mark.parametrize(
    ("moment", "rps"), [(0.0, 5.0), (11.9, 5.0), (12.0, 40.0), (35.9, 40.0), (43.0, 50.0), (55.0, 60.0), (70.0, 5.0)]
)
def test_the_load_is_low_steps_up_climbs_and_falls(moment: float, rps: float) -> None:
    assert rps == SHAPE(moment)


def test_a_weaker_load_has_the_same_shape() -> None:
    assert [SHAPE(moment) / 2 for moment in range(100)] == [Shape(100.0, 0.5)(moment) for moment in range(100)]


def test_a_fleet_that_goes_up_and_comes_back_has_followed() -> None:
    verdict = judge(FOLLOWING, [GOOD], {})
    assert (1, 6, 1) == (verdict.at_rest, verdict.peak, verdict.at_end)
    assert verdict.passed


@pytest.mark.parametrize("serving", [[1, 1, 1, 1], [1, 1, 2, 2, 2, 1], [1, 1, 4, 6, 6, 6, 6], [0, 0, 0]])
def test_a_fleet_that_stays_or_does_not_come_back_has_not_followed(serving: list[int]) -> None:
    assert not judge(record(serving), [GOOD], {}).passed


def test_one_failed_request_fails_the_demo() -> None:
    verdict = judge(FOLLOWING, [GOOD, replace(GOOD, fault="reset")], {})
    assert {"reset": 1} == verdict.faults
    assert not verdict.passed


def test_times_count_from_the_step_and_what_was_before_it_does_not_count() -> None:
    happenings = [
        Happening(1001.0, "decision", "shop", "0", "1"),
        Happening(1012.5, "state", "shop", "IDLE", "BUSY"),
        Happening(1013.5, "decision", "shop", "1", "4"),
        Happening(1060.0, "decision", "shop", "4", "6"),
    ]
    verdict = judge(record([1, 1, 4], happenings), [GOOD], {"shop1": 1000.1, "shop2": 1014.0, "shop3": 1015.0})
    assert (1.5, 2.0) == (verdict.decided_s, verdict.answered_s)


def test_a_decision_to_shrink_is_no_answer_to_the_step() -> None:
    happenings = [Happening(1013.5, "decision", "shop", "4", "1")]
    assert judge(record([1], happenings), [GOOD], {}).decided_s is None
