"""From counters to a count: what is remembered, what is told, what a person's order does to it."""

from __future__ import annotations

from fleet.registry import Order, OrderKind, Sighting
from scaler.messages import (
    Counted,
    Ordered,
    Report,
    Tick,
)
from tests.scaler.builders import (
    census,
    found,
    happenings,
    reading,
    serving,
)


def order(kind: OrderKind, count: int | None = None, entry: str = "1-1") -> Order:
    return Order(kind, count, entry)


def test_an_order_holds_until_auto_and_is_bounded() -> None:
    machine = serving(1, max=3)
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 9)))
    assert (3, 9) == (machine.state.desired, machine.state.manual)
    machine.publish()
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 0, "1-2")))
    assert (1, "1-2") == (machine.state.desired, machine.state.last_order)
    machine.take(Ordered(machine.now, order(OrderKind.AUTO, None, "1-3")))
    assert None is machine.state.manual
    assert {"1 desired, not needed any longer"} == {
        reason for reason in machine.reasons("web2") if reason.endswith("longer")
    }


def test_a_pause_freezes_what_is_desired_and_still_replaces_the_dead() -> None:
    machine = serving(2)
    machine.take(Ordered(machine.now, order(OrderKind.PAUSE)))
    machine.rps(100.0, 10)
    assert (2, {"web1", "web2"}) == (machine.state.desired, set(machine.phases()))
    machine.take(Counted(machine.now, census(found("web1"), asked_at=machine.now)))
    machine.rps(100.0, 2)
    assert ("stopping", "starting") == (machine.phases()["web2"], machine.phases()["web3"])
    machine.take(Ordered(machine.now, order(OrderKind.RESUME)))
    machine.rps(100.0, 2)
    assert 2 < machine.state.desired


def test_every_tick_of_a_term_refreshes_what_status_shows() -> None:
    machine = serving(1)
    machine.tick(reading(in_flight=4))
    [report] = machine.emitted(Report)
    assert (1, 4) == (report.summary.desired, report.summary.in_flight)


def test_an_order_without_an_id_leaves_the_last_one_in_place() -> None:
    machine = serving(1)
    machine.take(Ordered(machine.now, order(OrderKind.PAUSE)))
    machine.take(Ordered(machine.now, order(OrderKind.RESUME, None, "")))
    assert "1-1" == machine.state.last_order


def test_counters_that_cannot_be_believed_are_told_once() -> None:
    machine = serving(1)
    for _ in range(3):
        machine.take(Tick(machine.now, Sighting((reading(),), (), ("proxy q: arrivals must be ...",)), machine.now))
    assert ["proxy q: arrivals must be ..."] == machine.reasons("proxy-counters")


def test_a_pause_says_where_it_holds() -> None:
    machine = serving(2)
    machine.take(Ordered(machine.now, order(OrderKind.PAUSE)))
    machine.tick(reading())
    assert "paused at 2" == machine.state.reasons[0]


def test_a_load_above_the_maximum_is_a_standing_fault() -> None:
    machine = serving(2, max=2)
    machine.rps(100.0, 9)
    assert ["max: 10 wanted, 2 allowed"] == [
        one.reasons[0]
        for one in (each for taken in machine.steps for each in happenings(taken))
        if one.subject == "at-max"
    ]


def test_a_burst_is_remembered_for_a_stable_window() -> None:
    machine = serving(1)
    machine.rps(40.0, 5)
    assert machine.now + 60.0 == machine.state.panic_until
    assert 4 == machine.state.peak


def test_the_needs_that_are_kept_fall() -> None:
    machine = serving(1)
    for rate in (20.0, 50.0, 10.0, 30.0, 0.0):
        machine.rps(rate, 10)
    needs = [need for _, need in machine.state.needs]
    assert sorted(set(needs), reverse=True) == needs
    assert 5 == needs[0]


def test_before_any_proxy_was_seen_no_data_is_no_fault() -> None:
    machine = serving(1)
    machine.tick()
    assert frozenset() == machine.state.alarms
    machine.tick(reading())
    machine.tick(silent=("p",))
    assert {"no-data", "proxy-missing"} == machine.state.alarms
