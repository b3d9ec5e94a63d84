"""The judge of a canary: quick where one is worse, silent where both are alike, however often it is asked."""

from __future__ import annotations

from random import Random
from statistics import median
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.canary_judge import Evidence, Trials, weigh

if TYPE_CHECKING:
    from collections.abc import Callable

LOOKS_AN_HOUR = 3600


def seeded(seed: int) -> Random:
    """Chance that repeats."""
    return Random(seed)  # noqa: S311  # no secret hangs on it


def first_fault(looks: int, look: Callable[[int], tuple[Trials, Trials]]) -> int | None:
    """After how many looks the canary is found worse; None when it is not."""
    evidence = Evidence()
    for number in range(looks):
        evidence = weigh(evidence, *look(number))
        if evidence.fault:
            return number + 1
    return None


def errors(random: Random, canary: float, stable: float) -> Callable[[int], tuple[Trials, Trials]]:
    """Looks at 100 requests a second, a tenth of them the canary's, which fail at these rates."""

    def look(_: int) -> tuple[Trials, Trials]:
        ours = sum(random.random() < 0.1 for _ in range(100))
        return (
            Trials(ours, sum(random.random() < canary for _ in range(ours))),
            Trials(100 - ours, sum(random.random() < stable for _ in range(100 - ours))),
        )

    return look


def times(random: Random, factor: float) -> Callable[[int], tuple[Trials, Trials]]:
    """Looks at 10 and 40 requests whose times spread widely, the canary's longer by that factor."""

    def look(_: int) -> tuple[Trials, Trials]:
        ours, theirs = (sum(random.lognormvariate(4, 1) for _ in range(count)) for count in (10, 40))
        return Trials(10, 0, ours * factor), Trials(40, 0, theirs)

    return look


def test_a_fifth_failing_against_a_hundredth_is_found_within_eight_looks() -> None:
    found = [first_fault(60, errors(seeded(seed), 0.2, 0.01)) for seed in range(20)]
    assert None not in found
    assert median(look for look in found if look) <= 8


def test_twice_the_time_is_found() -> None:
    found = first_fault(600, times(seeded(1), 2.0))
    assert found is not None
    assert found <= 300


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.3])
def test_equal_sets_are_told_apart_in_none_of_ten_hours(rate: float) -> None:
    assert [first_fault(LOOKS_AN_HOUR, errors(seeded(seed), rate, rate)) for seed in range(10)] == [None] * 10


def test_an_outage_that_fails_both_sets_is_no_evidence() -> None:
    quiet, loud = errors(seeded(7), 0.01, 0.01), errors(seeded(8), 0.6, 0.6)
    assert first_fault(LOOKS_AN_HOUR, lambda number: (loud if number % 600 < 30 else quiet)(number)) is None


def test_equal_times_are_told_apart_in_none_of_five_hours() -> None:
    assert [first_fault(LOOKS_AN_HOUR, times(seeded(seed), 1.0)) for seed in range(5)] == [None] * 5


def test_a_better_canary_is_no_fault() -> None:
    assert first_fault(600, errors(seeded(3), 0.0, 0.2)) is None


def test_a_canary_that_turns_bad_after_an_hour_is_found_as_quickly() -> None:
    good, bad = errors(seeded(5), 0.01, 0.01), errors(seeded(6), 0.2, 0.01)
    found = first_fault(LOOKS_AN_HOUR + 60, lambda number: (good if number < LOOKS_AN_HOUR else bad)(number))
    assert found is not None
    assert found - LOOKS_AN_HOUR <= 12


def test_the_reason_gives_both_rates() -> None:
    evidence = weigh(Evidence(), Trials(100, 50), Trials(900, 9))
    assert evidence.fault == "errors: 50.0% of 100 requests of the canary, 1.0% of 900 of the stable set"


def test_without_requests_of_both_sets_nothing_is_judged() -> None:
    assert weigh(Evidence(), Trials(50, 50), Trials()).failing == Evidence().failing


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))))
def test_no_counts_break_it(looks: list[tuple[int, int, int, int]]) -> None:
    evidence = Evidence()
    for ours, ours_bad, theirs, theirs_bad in looks:
        evidence = weigh(
            evidence, Trials(ours, min(ours, ours_bad), 1.0 * ours), Trials(theirs, min(theirs, theirs_bad), 2.0)
        )
    assert isinstance(evidence.fault, str)
