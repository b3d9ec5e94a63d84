"""Weights that give a canary its share, whatever the sizes of the two sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.backend import DEFAULT_WEIGHT, MAX_WEIGHT
from scaler.canary_weights import share_of, wanted_canaries, weights


@pytest.mark.parametrize(
    ("share", "stable", "expected"), [(0.1, 5, 1), (0.1, 10, 1), (0.1, 11, 2), (0.5, 4, 2), (0.01, 1, 1), (0.2, 0, 1)]
)
def test_as_many_canaries_as_the_share_of_the_stable_ones_rounded_up(share: float, stable: int, expected: int) -> None:
    assert expected == wanted_canaries(share, stable)


def test_the_stable_ones_keep_their_weight_where_that_comes_close() -> None:
    assert (56, DEFAULT_WEIGHT) == weights(0.1, 1, 5)


def test_half_of_the_traffic_for_one_of_six_needs_other_weights() -> None:
    assert (255, 51) == weights(0.5, 1, 5)


def test_without_a_share_a_canary_gets_nothing() -> None:
    assert (0, DEFAULT_WEIGHT) == weights(0.0, 1, 5)


@pytest.mark.parametrize(("canaries", "stable"), [(0, 3), (2, 0), (0, 0)])
def test_one_set_alone_has_nothing_to_divide(canaries: int, stable: int) -> None:
    assert (DEFAULT_WEIGHT, DEFAULT_WEIGHT) == weights(0.1, canaries, stable)


@given(st.integers(1, 50), st.integers(1, 500))
def test_the_share_is_met_within_a_tenth_of_a_point_for_every_size(percent: int, stable: int) -> None:
    share = percent / 100
    canaries = wanted_canaries(share, stable)
    pair = weights(share, canaries, stable)
    assert all(1 <= weight <= MAX_WEIGHT for weight in pair)
    assert abs(share_of(pair, canaries, stable) - share) <= 0.001


@given(st.floats(0.001, 0.5), st.integers(1, 500), st.integers(1, 500))
def test_no_sizes_leave_the_bounds_of_a_weight(share: float, canaries: int, stable: int) -> None:
    assert all(1 <= weight <= MAX_WEIGHT for weight in weights(share, canaries, stable))
