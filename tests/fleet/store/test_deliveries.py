"""Who may deliver, and how far they got, on a real server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from fleet.delivery import HOLD_TTL_S, Place
from fleet.registry import Happening
from fleet.store.opening import open_crash_log, open_delivery, open_desk, open_registry
from tests.stoker.webhooks.builders import failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.settings import Settings
    from fleet.store.deliveries import RedisDelivery


@pytest.fixture
def delivery(store_settings: Settings) -> Iterator[RedisDelivery]:
    opened = open_delivery(store_settings)
    yield opened
    opened.close()


def test_one_holds_and_others_wait(delivery: RedisDelivery) -> None:
    assert (Place(), None, Place()) == (delivery.hold("a"), delivery.hold("b"), delivery.hold("a"))
    delivery.release("b")
    assert None is delivery.hold("b")
    delivery.release("a")
    assert Place() == delivery.hold("b")


def test_the_hold_has_an_end_which_each_hold_prolongs(delivery: RedisDelivery) -> None:
    delivery.hold("a")
    delivery.client.pexpire(delivery.keys.webhooks_lock, 50)
    delivery.hold("a")
    left: int = delivery.client.pttl(delivery.keys.webhooks_lock)
    assert 0.9 * HOLD_TTL_S * 1000 < left <= HOLD_TTL_S * 1000


@pytest.mark.parametrize("left_ms", [None, 10_000_000])
def test_a_lock_without_a_believable_end_bars_nobody(delivery: RedisDelivery, left_ms: int | None) -> None:
    delivery.client.set(delivery.keys.webhooks_lock, "a", px=left_ms)
    assert Place() == delivery.hold("b")


def test_who_takes_over_goes_on_where_the_other_got_to(delivery: RedisDelivery) -> None:
    delivery.hold("a")
    assert delivery.settle("a", Place("5-0", "6-1"))
    delivery.release("a")
    assert Place("5-0", "6-1") == delivery.hold("b")
    assert not delivery.settle("a", Place("9-0", "9-0"))
    assert Place("5-0", "6-1") == delivery.hold("b")


def test_what_a_stranger_wrote_there_is_as_good_as_nothing(delivery: RedisDelivery) -> None:
    delivery.client.lpush(delivery.keys.webhooks_lock, "x")
    delivery.client.set(delivery.keys.webhooks, "x")
    assert Place() == delivery.hold("a")
    assert delivery.settle("a", Place("5-0", "6-1"))
    delivery.client.hset(delivery.keys.webhooks, "events", "5-0\r\n")
    assert Place("", "6-1") == delivery.hold("a")


def test_the_newest_are_the_ends_of_both_streams(delivery: RedisDelivery, store_settings: Settings) -> None:
    assert Place("0-0", "0-0") == delivery.newest()
    registry = open_registry(store_settings)
    lease = registry.acquire("s")
    assert lease is not None
    registry.record(lease, [Happening(1.0, "order"), Happening(2.0, "order")])

    async def fail() -> None:
        log = open_crash_log(store_settings)
        await log.failed([failure("one")])
        await log.aclose()

    asyncio.run(fail())
    newest = delivery.newest()
    told = open_desk(store_settings).history("", wait_s=0)
    assert (told[-1][0], True) == (newest.events, newest.crashes > "0-0")
    registry.close()
