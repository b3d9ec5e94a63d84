"""Orders where the last one was lost and the clock went back, with real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleet.registry import Order, OrderKind

if TYPE_CHECKING:
    from fleet.store.desk import RedisDesk
    from fleet.store.scaler_side import RedisRegistry

pytestmark = pytest.mark.live


def test_an_order_comes_after_the_last_one_that_was_carried_out_though_that_was_lost_and_the_clock_went_back(
    desk: RedisDesk, registry: RedisRegistry
) -> None:
    now_ms = int(desk.place(Order(OrderKind.RESUME)).partition("-")[0])
    last = f"{now_ms + 3_600_000}-4"
    desk.client.delete(desk.keys.orders)
    desk.client.hset(desk.keys.scaler, "last_order", last)
    first, second = (desk.place(Order(OrderKind.SCALE, count)) for count in (1, 2))
    assert [f"{now_ms + 3_600_000}-5", f"{now_ms + 3_600_000}-6"] == [first, second]
    assert [1, 2] == [order.count for order in registry.orders(last)]


@pytest.mark.parametrize("last", ["no id", "99999999999999999999999-0", "5-0"])
def test_an_order_is_placed_whatever_stands_in_the_place_of_the_last(desk: RedisDesk, last: str) -> None:
    desk.client.hset(desk.keys.scaler, "last_order", last)
    before, _ = desk.client.time()
    assert before * 1000 <= int(desk.place(Order(OrderKind.RESUME)).partition("-")[0]) < (before + 60) * 1000
    desk.client.delete(desk.keys.scaler)
    desk.client.set(desk.keys.scaler, "a string")
    desk.place(Order(OrderKind.RESUME))
