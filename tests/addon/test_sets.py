"""A canary's share of the requests, in either way of balancing."""

from __future__ import annotations

from collections import Counter, deque

import pytest

from addon.balance import balancer
from addon.counter import Upstream
from addon.sets import Sets

KINDS = ("round_robin", "least_in_flight")


def upstream(name: str, weight: int = 100, *, canary: bool = False) -> Upstream:
    made = Upstream(name, "http://127.0.0.1:1", ("127.0.0.1", 1))
    made.weight, made.canary = weight, canary
    return made


def fleet(stable: int, weight: int, canaries: int = 1) -> list[Upstream]:
    return [
        *(upstream(f"web{number}") for number in range(stable)),
        *(upstream(f"new{number}", weight, canary=True) for number in range(canaries)),
    ]


def sets(kind: str, *upstreams: Upstream) -> Sets:
    made = Sets(lambda: balancer(kind))
    made.replace(upstreams)
    return made


def picked(made: Sets, count: int, at_once: int = 0) -> Counter[str]:
    """So many requests, of which so many are in flight at any time."""
    found, busy = Counter[str](), deque[Upstream]()
    for _ in range(count):
        one = made.pick()
        assert one is not None
        found[one.name] += 1
        one.in_flight += 1
        made.changed(one)
        busy.append(one)
        while len(busy) > at_once:
            done = busy.popleft()
            done.in_flight -= 1
            made.changed(done)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at_once", [0, 1, 40])
@pytest.mark.parametrize(("stable", "weight", "share"), [(5, 56, 0.1), (1, 1, 0.01), (4, 200, 1 / 3)])
def test_a_canary_gets_its_share_within_a_point(
    kind: str, at_once: int, stable: int, weight: int, share: float
) -> None:
    found = picked(sets(kind, *fleet(stable, weight)), 10_000, at_once)
    assert abs(found["new0"] / 10_000 - share) < 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_each_set_is_balanced_by_itself(kind: str) -> None:
    found = picked(sets(kind, *fleet(4, 100, canaries=2)), 6000)
    assert max(found.values()) - min(found.values()) <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_canary_of_weight_0_gets_nothing(kind: str) -> None:
    assert {"web0", "web1"} == set(picked(sets(kind, *fleet(2, 0)), 1000))


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_stays_with_its_set_while_that_has_somebody(kind: str) -> None:
    made = sets(kind, *fleet(2, 50))
    assert ["new0"] * 20 == [one.name for _ in range(20) if (one := made.pick(side=True))]
    assert "new0" not in {one.name for _ in range(20) if (one := made.pick(side=False))}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [True, False, None])
def test_where_one_set_is_empty_all_go_to_the_other(kind: str, side: bool | None) -> None:
    only_canary, only_stable = sets(kind, *fleet(0, 50)), sets(kind, *fleet(1, 50, canaries=0))
    for made, name in ((only_canary, "new0"), (only_stable, "web0")):
        one = made.pick(side)
        assert one is not None
        assert name == one.name


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_at_all_is_nobody(kind: str) -> None:
    made = sets(kind)
    assert made.pick() is None
    assert len(made) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_promoted_canary_is_one_of_the_others_and_keeps_what_it_counted(kind: str) -> None:
    instances = fleet(2, 50)
    made = sets(kind, *instances)
    picked(made, 100)
    instances[2].canary, instances[2].weight = False, 100
    made.replace(instances)
    found = picked(made, 300)
    assert {"web0", "web1", "new0"} == set(found)
    assert max(found.values()) - min(found.values()) <= 2
