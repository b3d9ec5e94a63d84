"""The live world over the store in memory: orders, wakes, and every way to end."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from fleet.registry import Order, OrderKind
from scaler.inbox import Ending, Wake
from scaler.messages import Closed, Ordered, Tick
from tests.scaler.builders import policy
from tests.scaler.rig import Rig, serving


def test_an_order_is_obeyed_once() -> None:
    rig = serving()
    rig.store.place(Order(OrderKind.SCALE, 3))
    rig.run(4)
    assert (["web1", "web2", "web3"], 1) == (rig.hand.started, len(rig.events(Ordered)))


def test_an_order_that_was_placed_while_no_scaler_acted_is_obeyed() -> None:
    first = serving()
    first.world.close()
    first.store.place(Order(OrderKind.SCALE, 3))
    second = Rig(first.policy, "two", first.clock, first.store, first.hand)
    second.run(5)
    assert (3, 3) == (second.state.manual, len(second.phases()))


def test_an_order_that_was_obeyed_is_not_obeyed_again_by_the_next_scaler() -> None:
    first = serving()
    first.store.place(Order(OrderKind.SCALE, 3))
    first.store.place(Order(OrderKind.AUTO))
    first.run(4)
    first.world.close()
    second = Rig(first.policy, "two", first.clock, first.store, first.hand)
    second.run(5)
    assert ([], None) == (second.events(Ordered), second.state.manual)


def test_an_order_after_a_loss_is_obeyed_though_the_stores_clock_went_back() -> None:
    rig = serving()
    rig.store.place(Order(OrderKind.SCALE, 3))
    rig.run(4)
    rig.store.clock = lambda: rig.clock.at - 600
    rig.store.wipe()
    rig.store.place(Order(OrderKind.SCALE, 2))
    rig.run(10)
    rig.store.place(Order(OrderKind.PAUSE))
    rig.run(2)
    assert [3, 2, None] == [event.order.count for event in rig.events(Ordered)]
    assert (2, True) == (rig.state.manual, rig.state.paused)


def test_an_order_that_was_obeyed_is_not_obeyed_again_where_old_data_tell_of_it() -> None:
    rig = serving()
    rig.store.place(Order(OrderKind.SCALE, 3))
    old = rig.store.copy()
    rig.store.place(Order(OrderKind.AUTO))
    rig.run(4)
    rig.store.restore(old, another_server=True)
    rig.run(10)
    assert ([3, None], None) == ([event.order.count for event in rig.events(Ordered)], rig.state.manual)


def test_a_wake_is_a_tick_at_once() -> None:
    rig = serving()
    while not isinstance(rig.once(), Tick):
        pass
    before = rig.clock.at
    rig.inbox.wake()
    while not isinstance(rig.once(), Tick):
        pass
    assert before == rig.clock.at


def test_a_proxys_wake_reaches_the_inbox() -> None:
    rig = Rig()
    rig.world.start()
    try:
        for _ in range(100):  # whoever listens is a thread that may not wait yet
            asyncio.run(rig.store.wake())
            item = super(type(rig.inbox), rig.inbox).take(0.05)
            if item is not None:
                break
        assert Wake.NOW is item
    finally:
        rig.world.close()
    assert rig.prober.closed


def test_leaving_ends_the_run_and_gives_the_lease_back() -> None:
    rig = serving()
    rig.inbox.end(Ending.LEAVE)
    rig.run(5)
    assert (True, []) == (rig.ended, rig.hand.stopped)
    rig.world.close()
    assert None is rig.store._stored.holder


def test_closing_drains_and_stops_everything_and_then_ends() -> None:
    rig = serving(min=3)
    begun = rig.clock.at
    rig.inbox.end(Ending.CLOSE)
    rig.run(60)
    assert (True, {}, {}) == (rig.ended, rig.phases(), rig.hand.there)
    assert rig.clock.at - begun < 5


def test_closing_an_empty_fleet_ends_at_once() -> None:
    rig = Rig(policy(min=0)).run(8)
    begun = rig.clock.at
    rig.inbox.end(Ending.CLOSE)
    rig.run(60)
    assert rig.ended
    assert rig.clock.at - begun < 2


def test_closing_without_the_lease_stops_nothing() -> None:
    first = serving()
    second = Rig(first.policy, "two", first.clock, first.store, first.hand).run(2)
    second.inbox.end(Ending.CLOSE)
    second.run(5)
    assert (True, [], []) == (second.ended, first.hand.stopped, second.events(Closed))


def test_closing_gives_up_after_its_limit_and_says_so() -> None:
    rig = serving()
    rig.hand.unstoppable.add("web1")
    begun = rig.clock.at
    rig.inbox.end(Ending.CLOSE)
    with capture_logs() as logs:
        rig.run(300)
    assert rig.ended
    assert 120 <= rig.clock.at - begun < 125
    assert "not everything stopped in time; the rest is left to the next start" in [one["event"] for one in logs]
