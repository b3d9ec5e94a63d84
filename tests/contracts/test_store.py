"""One suite over the store in memory and over real servers: what one of them does, all do."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import pytest

from fleet.backend import Backend, Phase
from fleet.errors import RefusedError
from fleet.registry import (
    BackendCounters,
    Detail,
    Happening,
    Memory,
    Order,
    OrderKind,
    Sighting,
    Snapshot,
)
from fleet.release import Release, Releases, Rollout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.registry import Meter, Registry

    class ScalerSide(Registry, Meter, Protocol):
        def wakes(self) -> Iterator[None]: ...
        def close(self) -> None: ...


from tests.contracts.stores import SUMMARY, Store, backend, change, reading


def test_of_two_scalers_one_gets_the_lease(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    assert "a" == lease.scaler
    assert store.scaler.acquire("b") is None
    assert store.scaler.renew(lease)


def test_a_lease_that_ran_out_goes_to_the_next_with_a_larger_token(store: Store) -> None:
    first = store.scaler.acquire("a")
    store.let_lease_run_out()
    second = store.scaler.acquire("b")
    assert first is not None
    assert second is not None
    assert second.token > first.token
    assert not store.scaler.renew(first)


def test_tokens_grow_over_a_wipe(store: Store) -> None:
    first = store.scaler.acquire("a")
    store.lose_all_data()
    second = store.scaler.acquire("a")
    assert first is not None
    assert second is not None
    assert second.token > first.token


def test_a_late_holder_changes_nothing(store: Store) -> None:
    late = store.scaler.acquire("a")
    assert late is not None
    generation = store.scaler.publish(late, change(1))
    store.let_lease_run_out()
    holder = store.scaler.acquire("b")
    assert holder is not None
    with pytest.raises(RefusedError):
        store.scaler.publish(late, change(2))
    with pytest.raises(RefusedError):
        store.scaler.summarise(late, replace(SUMMARY, state="BUSY"))
    with pytest.raises(RefusedError):
        store.scaler.record(late, [Happening(1.0, "late")])
    store.scaler.release(late)
    assert Snapshot(generation, change(1).backends) == store.scaler.recall().snapshot
    assert () == store.desk.history("", wait_s=0)
    assert "UP" == getattr(store.desk.status().summary, "state", None)
    assert store.scaler.renew(holder)


def test_a_lease_given_back_is_free_at_once(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    store.scaler.release(lease)
    assert store.scaler.acquire("b") is not None


def test_a_lease_is_settled_only_where_the_store_remembers_an_earlier_token(store: Store) -> None:
    first = store.scaler.acquire("a")
    store.let_lease_run_out()
    second = store.scaler.acquire("a")
    store.lose_all_data()
    third = store.scaler.acquire("a")
    assert [False, True, False] == [lease.settled for lease in (first, second, third) if lease]


def test_an_empty_store_holds_no_data(store: Store) -> None:
    assert Memory() == store.scaler.recall()
    assert store.desk.status().snapshot is None


async def test_a_proxy_of_an_empty_store_gets_no_data(store: Store) -> None:
    assert await store.board.snapshot() is None


async def test_an_empty_fleet_is_data(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    generation = store.scaler.publish(lease, change())
    assert Snapshot(generation, {}) == await store.board.snapshot()


async def test_what_was_published_is_read_by_scaler_proxy_and_desk(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    starting = Backend("production3", Phase.STARTING)
    published = replace(change(1, 2), backends={**change(1, 2).backends, "production3": starting})
    wanted = Snapshot(store.scaler.publish(lease, published), published.backends)
    assert wanted == store.scaler.recall().snapshot
    assert wanted == await store.board.snapshot()
    assert wanted == store.desk.status().snapshot


async def test_the_next_change_replaces_the_whole_set(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    store.scaler.publish(lease, change(1, 2, 3))
    await store.board.snapshot()
    drained = backend(2, Phase.DRAINING)
    generation = store.scaler.publish(lease, replace(change(2, 4), backends={"production2": drained}))
    assert Snapshot(generation, {"production2": drained}) == await store.board.snapshot()


async def test_a_change_after_a_wipe_is_whole(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    store.scaler.publish(lease, change(1, 2))
    store.lose_all_data()
    lease = store.scaler.acquire("a")
    assert lease is not None
    generation = store.scaler.publish(lease, change(1, 2, 3))
    assert Snapshot(generation, change(1, 2, 3).backends) == await store.board.snapshot()


async def test_backends_come_in_the_order_of_their_numbers(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    store.scaler.publish(lease, change(*range(1, 1500)))
    snapshot = await store.board.snapshot()
    assert snapshot is not None
    assert [f"production{number}" for number in range(1, 1500)] == list(snapshot.backends)


def test_generations_grow_with_every_change(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    generations = [store.scaler.publish(lease, change(number)) for number in range(1, 6)]
    assert sorted(set(generations)) == generations


async def test_a_generation_is_above_what_any_live_proxy_has_applied(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    ahead = store.scaler.publish(lease, change(1)) + 1_000_000
    await store.board.report(reading("p1", generation=ahead))
    await store.board.report(reading("p2", generation=ahead - 5))
    assert ahead + 1 == store.scaler.publish(lease, change(1))


async def test_a_silent_proxys_generation_binds_nobody(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    ahead = store.scaler.publish(lease, change(1)) + 1_000_000
    await store.board.report(reading("p1", generation=ahead))
    store.let_proxy_fall_silent("p1")
    store.let_lease_run_out()
    lease = store.scaler.acquire("a")
    assert lease is not None
    assert store.scaler.publish(lease, change(1)) < ahead


def test_the_serial_never_goes_back(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    store.scaler.publish(lease, change(1, serial=9))
    store.scaler.publish(lease, change(1, serial=3))
    assert 9 == store.scaler.recall().serial


def test_the_orders_in_force_are_recalled(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    store.scaler.publish(lease, change(1))
    store.scaler.summarise(lease, replace(SUMMARY, desired=4, paused=True, manual=4, last_order="5-1"))
    memory = store.scaler.recall()
    assert (4, True, 4, "5-1") == (memory.desired, memory.paused, memory.manual, memory.last_order)


def test_releases_are_recalled_and_shown_until_others_are_published(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    one, two = Release("1", "shop:1"), Release("2", "shop:2")
    assert store.scaler.recall().releases is None
    releases = Releases(one, configured=one, rollout=Rollout(two, one, "5-1"))
    store.scaler.publish(lease, replace(change(1), releases=releases))
    assert releases == store.scaler.recall().releases == store.desk.status().releases
    store.scaler.publish(lease, change(1, 2))
    assert releases == store.scaler.recall().releases
    store.scaler.publish(lease, replace(change(1, 2), releases=Releases(two, previous=one)))
    assert Releases(two, previous=one) == store.scaler.recall().releases


def test_releases_go_with_all_data(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    store.scaler.publish(lease, replace(change(1), releases=Releases(Release("1"))))
    store.lose_all_data()
    assert store.scaler.recall().releases is None


def test_summaries_and_records_leave_the_generation(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    generation = store.scaler.publish(lease, change(1))
    store.scaler.summarise(lease, SUMMARY)
    store.scaler.record(lease, [Happening(1.0, "fault")])
    snapshot = store.scaler.recall().snapshot
    assert snapshot is not None
    assert generation == snapshot.generation


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


def test_orders_are_read_once_each_in_the_order_given(store: Store) -> None:
    first = store.desk.place(Order(OrderKind.SCALE, 0))
    second = store.desk.place(Order(OrderKind.PAUSE))
    assert (Order(OrderKind.SCALE, 0, first), Order(OrderKind.PAUSE, None, second)) == tuple(store.scaler.orders(""))
    assert (Order(OrderKind.PAUSE, None, second),) == tuple(store.scaler.orders(first))
    assert () == tuple(store.scaler.orders(second))
    third = store.desk.place(Order(OrderKind.FORGET, proxy="p1"))
    assert (Order(OrderKind.FORGET, None, third, "p1"),) == tuple(store.scaler.orders(second))
    fourth = store.desk.place(Order(OrderKind.DEPLOY, image="shop:2", share=10, sticky=True))
    deploy = Order(OrderKind.DEPLOY, id=fourth, image="shop:2", share=10, sticky=True)
    assert (deploy,) == tuple(store.scaler.orders(third))


def test_history_is_kept_in_order_and_read_on_from_an_id(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    started = Happening(1.25, "phase", "production1", "starting", "warming", ("it runs", "é: 'quoted'"))
    served = Happening(2.0, "phase", "production1", "warming", "serving")
    store.scaler.publish(lease, replace(change(1), happenings=(started, served)))
    store.scaler.record(lease, [Happening(3.0, "fault")])
    entries = store.desk.history("", wait_s=0)
    assert [started, served, Happening(3.0, "fault")] == [one for _, one in entries]
    assert [Happening(3.0, "fault")] == [one for _, one in store.desk.history(entries[1][0], wait_s=0)]


async def test_status_shows_who_acts_and_who_waits(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    store.scaler.acquire("b")
    store.scaler.publish(lease, change(1))
    await store.board.report(reading("p1"))
    status = store.desk.status()
    assert SUMMARY == status.summary
    assert "a" == status.acting
    assert ["a", "b"] == [scaler for scaler, _ in status.scalers]
    assert all(0 <= age < 10 for _, age in status.scalers)
    assert Sighting((reading("p1"),)) == status.sighting


async def test_status_takes_a_known_registry_over_only_while_it_is_the_present_one(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    store.scaler.publish(lease, change(1))
    known = store.desk.status().snapshot
    assert known == store.desk.status(known).snapshot
    store.scaler.publish(lease, change(1, 2))
    changed = store.desk.status(known).snapshot
    assert changed is not None
    assert ["production1", "production2"] == list(changed.backends)
    store.lose_all_data()
    assert store.desk.status(changed).snapshot is None


async def test_a_proxy_is_told_each_new_generation(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    changes = store.board.changes()
    told = asyncio.ensure_future(anext(changes))
    published = []
    while not told.done():
        published.append(store.scaler.publish(lease, change(1)))
        await asyncio.wait([told], timeout=0.02)
    assert told.result() in published


async def test_a_held_request_and_an_order_wake_the_scaler(store: Store) -> None:
    woken, ended = threading.Semaphore(0), threading.Event()

    def listen() -> None:
        for _ in store.scaler.wakes():
            woken.release()
        ended.set()

    thread = threading.Thread(target=listen)
    thread.start()
    while not await asyncio.to_thread(woken.acquire, timeout=0.02):
        await store.board.wake()
    while await asyncio.to_thread(woken.acquire, timeout=0.1):
        pass
    store.desk.place(Order(OrderKind.AUTO))
    assert await asyncio.to_thread(woken.acquire, timeout=5)
    store.scaler.close()
    assert await asyncio.to_thread(ended.wait, 1)
    thread.join()
