from __future__ import annotations

import ipaddress

import pytest

from addon.balance import balancer
from addon.counter import Token
from addon.roster import REST_S, Roster
from fleet.backend import Phase
from fleet.registry import Snapshot
from tests.addon.snapshots import snapshot, with_phase

NETWORKS = (ipaddress.ip_network("127.0.0.0/8"),)


@pytest.fixture(params=["round_robin", "least_in_flight"])
def roster(request: pytest.FixtureRequest) -> Roster:
    return Roster(lambda: balancer(request.param), NETWORKS)


def choose(roster: Roster, now_s: float = 0.0) -> tuple[str | None, Token]:
    token = Token("client", now_s)
    chosen = roster.choose(token, now_s)
    return (chosen.name if chosen else None), token


def names(roster: Roster, count: int, now_s: float = 0.0) -> set[str | None]:
    return {choose(roster, now_s)[0] for _ in range(count)}


def test_only_serving_backends_with_an_address_are_chosen(roster: Roster) -> None:
    roster.apply(with_phase(snapshot(a1=1, a2=2, a3=None), "a2", Phase.WARMING))
    assert names(roster, 4) == {"a1"}
    assert (roster.generation, roster.available) == (2, 1)


def test_a_draining_one_gets_nothing_new_and_keeps_what_it_has(roster: Roster) -> None:
    before = snapshot(a1=1)
    roster.apply(before)
    _, token = choose(roster)
    roster.apply(with_phase(before, "a1", Phase.DRAINING))
    assert names(roster, 2) == {None}
    assert [1] == [upstream.in_flight for upstream in roster.upstreams]
    roster.release(token)
    assert [0] == [upstream.in_flight for upstream in roster.upstreams]


def test_one_that_left_is_shown_until_its_last_request_has_ended(roster: Roster) -> None:
    roster.apply(snapshot(a1=1))
    _, token = choose(roster)
    roster.apply(Snapshot(2, {}))
    assert [("a1", 1)] == [(upstream.name, upstream.in_flight) for upstream in roster.upstreams]
    roster.release(token)
    assert [] == roster.upstreams


def test_one_without_requests_is_forgotten_when_it_leaves(roster: Roster) -> None:
    roster.apply(snapshot(a1=1))
    roster.apply(Snapshot(2, {}))
    assert [] == roster.upstreams
    assert roster.at(("127.0.0.1", 1)) is None


def test_counters_survive_a_new_generation_and_a_new_url_begins_anew(roster: Roster) -> None:
    roster.apply(snapshot(a1=1))
    choose(roster)
    roster.apply(snapshot(2, a1=1))
    assert [1] == [upstream.arrivals for upstream in roster.upstreams]
    roster.apply(snapshot(3, a1=5))
    assert [("127.0.0.1", 1), ("127.0.0.1", 5)] == [upstream.address for upstream in roster.upstreams]
    assert names(roster, 1) == {"a1"}
    assert [1, 1] == [upstream.in_flight for upstream in roster.upstreams]


def test_a_request_is_released_once(roster: Roster) -> None:
    roster.apply(snapshot(a1=1))
    _, token = choose(roster)
    assert roster.release(token) is not None
    assert roster.release(token) is None
    assert [0] == [upstream.in_flight for upstream in roster.upstreams]


def test_one_that_refused_rests_and_comes_back(roster: Roster) -> None:
    roster.apply(snapshot(a1=1, a2=2))
    refusing = roster.at(("127.0.0.1", 1))
    assert refusing is not None
    roster.rest(refusing, 10.0)
    assert names(roster, 4, 10.0) == {"a2"}
    assert roster.available == 1
    assert names(roster, 6, 10.0 + REST_S) == {"a1", "a2"}


def test_a_resting_one_stays_at_rest_over_a_new_generation(roster: Roster) -> None:
    roster.apply(snapshot(a1=1))
    refusing = roster.at(("127.0.0.1", 1))
    assert refusing is not None
    roster.rest(refusing, 10.0)
    roster.apply(snapshot(2, a1=1))
    assert roster.available == 0
    roster.wake(10.0 + REST_S)
    assert roster.available == 1
