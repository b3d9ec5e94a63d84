"""One suite over the store in memory and over real servers: the lease, and what a scaler publishes and recalls."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.backend import Backend, Phase
from fleet.errors import RefusedError
from fleet.registry import (
    Happening,
    Memory,
    Snapshot,
)
from fleet.release import Release, Releases, Rollout
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


def test_a_generation_is_above_the_last_one_that_the_scaler_knows_of(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    ahead = store.scaler.publish(lease, change(1)) + 1_000_000
    assert ahead + 1 == store.scaler.publish(lease, replace(change(1), after=ahead))
    assert ahead + 2 == store.scaler.publish(lease, replace(change(1), after=ahead - 5))


async def test_what_no_generation_can_be_is_counted_on_from_once_and_leaves_every_proxy_believed(store: Store) -> None:
    lease = store.scaler.acquire("a")
    assert lease is not None
    await store.board.report(reading("evil", generation=10**14 - 1))
    assert 10**14 == store.scaler.publish(lease, change(1))
    for generation in (10**14, 2 * 10**14 - 1):
        await store.board.report(reading("good", generation=generation))
        assert () == store.scaler.sight(detail=False).faults
    assert 10**14 + 1 == store.scaler.publish(lease, change(2))


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
