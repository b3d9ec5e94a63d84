"""What the stores keep and tell of a canary: one suite over memory and Redis."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleet.registry import BackendCounters, CanaryStanding, Detail, Order, OrderKind, Outcomes, SetStanding
from fleet.release import Canary, Release, Releases
from tests.contracts.stores import SUMMARY, Store, backend, change, reading

if TYPE_CHECKING:
    from fleet.registry import Lease

CANARY = Canary(Release("spec2", "shop:2", "shop@sha256:" + 64 * "a"), 10, "7-1", sticky=True, since=5.0, deaths=2)
RELEASES = Releases(Release("spec1"), configured=Release("spec1"), canary=CANARY)
STANDING = CanaryStanding("shop:2", "spec2", 10, 9.9, canary=SetStanding(50, 10, 4.5), errors=0.5, warm=True)


def taken(store: Store) -> Lease:
    lease = store.scaler.acquire("a")
    assert lease is not None
    return lease


def test_a_canary_is_remembered_until_it_is_gone(store: Store) -> None:
    lease = taken(store)
    store.scaler.publish(lease, replace(change(1), releases=RELEASES))
    assert RELEASES == store.scaler.recall().releases == store.desk.status().releases
    without = replace(RELEASES, canary=None)
    store.scaler.publish(lease, replace(change(1), releases=without))
    assert without == store.scaler.recall().releases


def test_how_it_stands_is_shown_until_it_is_gone(store: Store) -> None:
    lease = taken(store)
    store.scaler.summarise(lease, replace(SUMMARY, canary=STANDING))
    assert replace(SUMMARY, canary=STANDING) == store.desk.status().summary
    store.scaler.summarise(lease, SUMMARY)
    assert store.desk.status().summary == SUMMARY


async def test_proxies_are_told_which_backends_are_of_it(store: Store) -> None:
    told = replace(backend(1), canary=True, sticky=True, weight=56)
    lease = taken(store)
    store.scaler.publish(lease, replace(change(), backends={told.name: told, "production2": backend(2)}))
    found = await store.board.snapshot()
    assert found is not None
    assert {told.name: told, "production2": backend(2)} == found.backends


def test_an_alert_is_an_order_with_its_reason(store: Store) -> None:
    placed = store.desk.place(Order(OrderKind.ABORT, reason="alert: Errors (5 %)"))
    tried = store.desk.place(Order(OrderKind.DEPLOY, image="shop:2", share=10, sticky=True))
    assert (
        Order(OrderKind.ABORT, id=placed, reason="alert: Errors (5 %)"),
        Order(OrderKind.DEPLOY, id=tried, image="shop:2", share=10, sticky=True),
    ) == tuple(store.scaler.orders(""))


async def test_outcomes_are_read_only_where_they_are_asked_for(store: Store) -> None:
    one, other = BackendCounters(9, 2, 0, 3, 4.5, busy_ms=700), BackendCounters(1, in_flight=4)
    await store.board.report(replace(reading("p1"), backends={"a1": one, "a2": other}))
    await store.board.report(replace(reading("p2"), backends=None))
    assert Detail({"a1": 3, "a2": 4}) == store.scaler.sight(detail=True).detail
    told = {"p1": {"a1": Outcomes(6, 2, 700), "a2": Outcomes(0, 0, 0)}, "p2": {}}
    assert Detail({"a1": 3, "a2": 4}, outcomes=told) == store.scaler.sight(detail=True, outcomes=True).detail
