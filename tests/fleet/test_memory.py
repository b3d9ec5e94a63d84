from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleet.errors import StoreUnavailableError
from fleet.memory import MemoryStore
from fleet.registry import Change, Happening, Lease, Order, OrderKind, ProxyReading, Sighting, Summary

if TYPE_CHECKING:
    from collections.abc import Callable


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def store(time: Time) -> MemoryStore:
    return MemoryStore(time)


def test_a_lease_lasts_its_ttl_from_the_last_renewal(store: MemoryStore, time: Time) -> None:
    lease = store.acquire("a")
    assert lease is not None
    time.now += 3.9
    assert store.renew(lease)
    time.now += 3.9
    assert store.acquire("b") is None
    time.now += 0.2
    assert store.acquire("b") is not None


async def test_a_proxy_is_silent_when_its_time_is_over(store: MemoryStore, time: Time) -> None:
    reading = ProxyReading("p1", "s", 1, 0, 5)
    await store.report(reading)
    time.now += 4.9
    assert Sighting((reading,)) == store.sight(detail=False)
    time.now += 0.2
    assert Sighting((), ("p1",)) == store.sight(detail=False)


async def test_during_an_outage_every_call_says_so(store: MemoryStore) -> None:
    lease, summary = Lease("a", 1, 4.0), Summary("IDLE", 1)
    store.outage = "switched off"
    calls: list[Callable[[], object]] = [
        lambda: store.acquire("a"),
        lambda: store.renew(lease),
        lambda: store.release(lease),
        lambda: store.publish(lease, Change({}, 0, summary)),
        lambda: store.summarise(lease, summary),
        lambda: store.record(lease, [Happening(1.0, "test")]),
        store.recall,
        lambda: store.orders(""),
        lambda: store.sight(detail=True),
        lambda: store.forget(lease, "p1"),
        lambda: store.remember(lease, "p1", lasting=True),
        store.status,
        lambda: store.place(Order(OrderKind.AUTO)),
        lambda: store.history("", wait_s=0),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailableError, match="switched off"):
            call()
    for later in (store.snapshot(), store.wake(), store.leave("p1"), anext(store.changes())):
        with pytest.raises(StoreUnavailableError, match="switched off"):
            await later


def test_what_was_stored_is_back_after_an_outage(store: MemoryStore) -> None:
    lease = store.acquire("a")
    assert lease is not None
    store.publish(lease, Change({}, 7, Summary("IDLE", 1)))
    store.outage = "switched off"
    store.outage = None
    assert 7 == store.recall().serial
