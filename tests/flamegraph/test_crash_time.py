from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamegraph.crash_time import Span, joined, lasting, own
from flamegraph.profile import Frame

RUBY, SLEEP, GC = Frame("Cart#total", "/srv/app/cart.rb", 3), Frame("Kernel#sleep", "<cfunc>"), Frame("(sweeping)")
LEAVES = (RUBY, SLEEP, GC)


def test_a_sample_lasts_until_the_next_one_the_first_from_the_start_the_last_to_the_end() -> None:
    assert [2500, 1000, 6500] == lasting(Span([0, 0, 0], [1500, 2500, 3500], 0), LEAVES, 0, 10_000, 1000)


def test_a_wait_is_its_first_sample() -> None:
    assert [2000, 198_000] == lasting(Span([0, 1], [1000, 2000], 0), LEAVES, 0, 200_000, 1000)


def test_a_wait_that_was_sampled_when_it_was_over_is_that_sample() -> None:
    assert [1000, 201_000] == lasting(Span([0, 1], [1000, 201_000], 0), LEAVES, 0, 202_000, 1000)


@pytest.mark.parametrize(("before", "after"), [(1, 1), (2, 1), (0, 0)])
def test_elsewhere_a_long_time_stays_with_the_sample_before(before: int, after: int) -> None:
    assert [201_000, 1000] == lasting(Span([before, after], [1000, 201_000], 0), LEAVES, 0, 202_000, 1000)


def test_the_samples_of_one_collection_share_its_time() -> None:
    assert [2000, 3000, 3000, 3001, 1000] == lasting(
        Span([0, 2, 2, 2, 0], [1000, 2000, 2000, 2000, 11_001], 0), LEAVES, 0, 12_001, 1000
    )


def test_late_samples_are_put_in_order_and_those_before_the_start_are_cut_off() -> None:
    assert Span([0, 2], [5200, 5900], 2) == own([1, 2, 0], [2, 1, 1], [100, 200, 5900, 5200], 5000)


def test_neighbours_of_one_stack_are_one_entry() -> None:
    assert ([0, 1, 0], [3, 3, 4], [10, 12, 13]) == joined([0, 0, 1, 0], [1, 2, 3, 4], [10, 11, 12, 13])


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 10**6)), min_size=1, max_size=40),
    st.integers(0, 10**6),
    st.integers(1, 10_000),
)
def test_together_they_last_as_long_as_the_request(samples: list[tuple[int, int]], longer: int, interval: int) -> None:
    span = own([stack for stack, _ in samples], [1] * len(samples), [time for _, time in samples], 0)
    stopped = max(time for _, time in samples) // 2 + longer + 1

    lengths = lasting(span, LEAVES, 0, stopped, interval)

    assert stopped == sum(lengths)
    assert min(lengths) >= 0
    assert all(earlier <= later for earlier, later in pairwise(span.times))
