"""One suite over the store in memory and over real servers: what proxies report, and who of them is missed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.errors import RefusedError
from fleet.registry import (
    BackendCounters,
    Detail,
    Sighting,
)
from tests.contracts.stores import Store, reading


async def test_readings_come_back_as_written(store: Store) -> None:
    await store.board.report(reading("p2"))
    await store.board.report(reading("p1"))
    assert Sighting((reading("p1"), reading("p2"))) == store.desk.status().sighting


async def test_the_scaler_reads_of_single_backends_only_what_leaves(store: Store) -> None:
    leaving = replace(reading("p1"), leaving={"production7": 3})
    await store.board.report(leaving)
    assert Sighting((replace(leaving, backends=None),)) == store.scaler.sight(detail=False)


async def test_detail_adds_up_what_is_in_flight_and_tells_who_was_refused_by_whom(store: Store) -> None:
    one, other = BackendCounters(9, 0, 2, 3), BackendCounters(9, in_flight=4)
    await store.board.report(replace(reading("p1"), backends={"a1": one, "a2": other, "a3": BackendCounters()}))
    await store.board.report(replace(reading("p2"), backends={"a1": one, "a2": other, "a3": BackendCounters()}))
    await store.board.report(replace(reading("p3"), backends={"a2": other, "a4": replace(one, in_flight=0)}))
    await store.board.report(replace(reading("p4"), backends=None))
    sighting = store.scaler.sight(detail=True)
    wanted = Detail({"a1": 6, "a2": 12}, {"p1": {"a1": 2}, "p2": {"a1": 2}, "p3": {"a4": 2}})
    assert wanted == sighting.detail
    assert {None} == {each.backends for each in sighting.readings}


async def test_a_reading_replaces_the_one_before(store: Store) -> None:
    await store.board.report(reading("p1"))
    later = replace(reading("p1", arrivals=11), backends={"production2": BackendCounters(1)})
    await store.board.report(later)
    assert Sighting((later,)) == store.desk.status().sighting


async def test_a_proxy_that_stops_writing_is_silent_until_it_is_back(store: Store) -> None:
    await store.board.report(reading("p1"))
    store.let_proxy_fall_silent("p1")
    assert Sighting((), ("p1",), lasting=frozenset({"p1"})) == store.scaler.sight(detail=False)
    await store.board.report(reading("p1"))
    assert Sighting((reading("p1"),)) == store.desk.status().sighting


async def test_a_proxy_outlives_its_agent_or_not_as_it_said_last(store: Store) -> None:
    await store.board.report(reading("p1"))
    await store.board.report(replace(reading("p2"), outlives_agent=False))
    await store.board.report(reading("p3"))
    await store.board.report(replace(reading("p3"), outlives_agent=False))
    for proxy in ("p1", "p2", "p3"):
        store.let_proxy_fall_silent(proxy)
    assert Sighting((), ("p1", "p2", "p3"), lasting=frozenset({"p1"})) == store.scaler.sight(detail=False)
    lease = store.scaler.acquire("a")
    assert lease is not None
    store.scaler.forget(lease, "p1")
    assert Sighting((), ("p2", "p3")) == store.scaler.sight(detail=False)


async def test_a_proxy_that_leaves_is_gone(store: Store) -> None:
    await store.board.report(reading("p1"))
    await store.board.leave("p1")
    assert Sighting(()) == store.scaler.sight(detail=False)


async def test_a_forgotten_proxy_is_no_longer_missed(store: Store) -> None:
    await store.board.report(reading("p1"))
    store.let_proxy_fall_silent("p1")
    lease = store.scaler.acquire("a")
    assert lease is not None
    store.scaler.forget(lease, "p1")
    assert Sighting(()) == store.scaler.sight(detail=False)


async def test_a_late_scaler_forgets_no_proxy_and_remembers_none(store: Store) -> None:
    late = store.scaler.acquire("a")
    assert late is not None
    store.let_lease_run_out()
    await store.board.report(reading("p1"))
    with pytest.raises(RefusedError):
        store.scaler.forget(late, "p1")
    with pytest.raises(RefusedError):
        store.scaler.remember(late, "p2", lasting=True)
    sighting = store.scaler.sight(detail=False)
    assert (["p1"], ()) == ([one.id for one in sighting.readings], sighting.silent)


async def test_a_proxy_that_the_store_lost_is_missed_again_once_it_is_remembered(store: Store) -> None:
    await store.board.report(reading("p1"))
    store.lose_all_data()
    lease = store.scaler.acquire("a")
    assert lease is not None
    store.scaler.remember(lease, "p1", lasting=True)
    store.scaler.remember(lease, "p2", lasting=False)
    assert Sighting((), ("p1", "p2"), lasting=frozenset({"p1"})) == store.scaler.sight(detail=False)
    await store.board.report(reading("p1"))
    sighting = store.scaler.sight(detail=False)
    assert (["p1"], ("p2",)) == ([one.id for one in sighting.readings], sighting.silent)


async def test_many_proxies_are_read_at_once(store: Store) -> None:
    for number in range(40):
        await store.board.report(reading(f"p{number:02}"))
    expected = tuple(reading(f"p{number:02}") for number in range(40))
    assert Sighting(expected) == store.desk.status().sighting
    assert Sighting(expected) == store.desk.status().sighting
