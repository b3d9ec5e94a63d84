from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.balance import Balancer, LeastInFlight, RoundRobin, balancer
from addon.counter import Upstream


def upstream(name: str, weight: int = 100, in_flight: int = 0) -> Upstream:
    made = Upstream(name, f"http://127.0.0.1:{len(name)}", ("127.0.0.1", len(name)))
    made.weight, made.in_flight = weight, in_flight
    return made


def picks(chooser: Balancer, count: int) -> str:
    return "".join(chosen.name if (chosen := chooser.pick()) else "-" for _ in range(count))


def send(chooser: Balancer) -> Upstream:
    chosen = chooser.pick()
    assert chosen is not None
    chosen.in_flight += 1
    chooser.changed(chosen)
    return chosen


def finish(chooser: Balancer, ended: Upstream) -> None:
    ended.in_flight -= 1
    chooser.changed(ended)


@pytest.mark.parametrize("kind", ["round_robin", "least_in_flight"])
def test_nothing_is_chosen_from_nothing(kind: str) -> None:
    assert balancer(kind).pick() is None


@pytest.mark.parametrize("kind", ["round_robin", "least_in_flight"])
def test_equal_ones_take_turns(kind: str) -> None:
    chooser = balancer(kind)
    chooser.replace([upstream("a"), upstream("b"), upstream("c")])
    assert picks(chooser, 7) == "abcabca"


@pytest.mark.parametrize("kind", ["round_robin", "least_in_flight"])
def test_weight_zero_is_never_chosen(kind: str) -> None:
    chooser = balancer(kind)
    chooser.replace([upstream("a", 0), upstream("b", 1)])
    assert picks(chooser, 3) == "bbb"
    assert len(chooser) == 1


@pytest.mark.parametrize("kind", ["round_robin", "least_in_flight"])
def test_one_that_was_taken_out_is_not_chosen_again(kind: str) -> None:
    chooser = balancer(kind)
    first, second = upstream("a"), upstream("b")
    chooser.replace([first, second])
    chooser.pick()
    chooser.replace([second])
    assert picks(chooser, 3) == "bbb"


def test_a_heavy_one_is_interleaved_with_light_ones() -> None:
    chooser = RoundRobin()
    chooser.replace([upstream("a", 5), upstream("b", 1), upstream("c", 1)])
    turns = picks(chooser, 14)
    assert {"a": 10, "b": 2, "c": 2} == Counter(turns)
    assert "aaaa" not in turns


def test_a_newcomer_gets_its_share_and_no_flood() -> None:
    chooser = RoundRobin()
    first, second = upstream("a"), upstream("b")
    chooser.replace([first, second])
    picks(chooser, 1000)
    chooser.replace([first, second, upstream("c")])
    assert {"a": 2, "b": 2, "c": 2} == Counter(picks(chooser, 6))


def test_those_that_stay_keep_their_turn() -> None:
    chooser = RoundRobin()
    known = [upstream("a"), upstream("b"), upstream("c")]
    chooser.replace(known)
    assert picks(chooser, 1) == "a"
    chooser.replace(known)
    assert picks(chooser, 2) == "bc"


@given(st.lists(st.integers(1, 256), min_size=1, max_size=8))
def test_each_gets_what_its_weight_says_within_one_request(weights: list[int]) -> None:
    chooser = RoundRobin()
    chooser.replace([upstream(str(number), weight) for number, weight in enumerate(weights)])
    total = sum(weights)
    counted = Counter(chosen.name for _ in range(total) if (chosen := chooser.pick()))
    assert all(abs(counted[str(number)] - weight) <= 1 for number, weight in enumerate(weights))


def test_the_least_loaded_for_its_weight_is_chosen() -> None:
    chooser = LeastInFlight()
    chooser.replace([upstream("a", 100, 3), upstream("b", 100, 1), upstream("c", 300, 5)])
    assert [send(chooser).name for _ in range(4)] == ["b", "c", "c", "c"]


def test_a_finished_request_makes_room() -> None:
    chooser = LeastInFlight()
    chooser.replace([upstream("a"), upstream("b")])
    first, _ = send(chooser), send(chooser)
    finish(chooser, first)
    assert send(chooser) is first


@given(st.lists(st.integers(1, 256), min_size=1, max_size=6), st.lists(st.integers(0, 5), max_size=60))
def test_no_one_chosen_had_a_higher_load_than_another(weights: list[int], steps: list[int]) -> None:
    chooser = LeastInFlight()
    known = [upstream(str(number), weight) for number, weight in enumerate(weights)]
    chooser.replace(known)
    under_way: list[Upstream] = []
    for step in steps:
        if step and under_way:
            finish(chooser, under_way.pop(step % len(under_way)))
            continue
        least = min((each.in_flight + 1) / each.weight for each in known)
        chosen = chooser.pick()
        assert chosen is not None
        assert (chosen.in_flight + 1) / chosen.weight == least
        under_way.append(send(chooser))


def test_a_change_of_one_that_is_unknown_is_nothing() -> None:
    chooser = LeastInFlight()
    chooser.changed(upstream("a"))
    assert len(chooser) == 0
