"""One suite over the store in memory and over real servers: orders, history and status, and who is woken."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

from fleet.registry import (
    Happening,
    Order,
    OrderKind,
    Sighting,
)
from tests.contracts.stores import SUMMARY, Store, change, reading


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
        assert store.scaler.renew(lease)
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
    assert await asyncio.to_thread(woken.acquire, timeout=20)
    store.scaler.close()
    assert await asyncio.to_thread(ended.wait, 20)
    thread.join()
