"""Who is ordered, who goes, and when a drain is over."""

from __future__ import annotations

import pytest

from fleet.registry import BackendCounters, Memory, Order, OrderKind, Sighting
from scaler.messages import (
    Closed,
    Counted,
    Forget,
    Look,
    Ordered,
    Outcome,
    StartFailed,
    Stopped,
    Tick,
    Unpublished,
)
from tests.scaler.builders import (
    EPOCH_S,
    Machine,
    census,
    found,
    happenings,
    listed,
    policy,
    probe,
    reading,
    serving,
    snapshot,
    told,
)


def order(kind: OrderKind, count: int | None = None, entry: str = "1-1") -> Order:
    return Order(kind, count, entry)


def test_scaling_up_counts_what_is_ordered_already() -> None:
    machine = serving(1)
    machine.rps(30.0, 5)
    assert {"web2", "web3"} <= set(machine.phases())
    ordered = len(machine.phases())
    machine.rps(30.0, 20)
    assert ordered == len(machine.phases())


def test_a_drain_waits_until_the_proxy_has_applied_it_and_nothing_is_in_flight() -> None:
    machine = serving(2)
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 1)))
    machine.tick(reading(generation=machine.generation))
    assert [Look()] == machine.emitted(Look)
    machine.look({"web1": 3, "web2": 1})
    assert "draining" == machine.phases()["web2"]
    before = machine.generation
    machine.publish()
    counters = {"web1": 3, "web2": 0}
    machine.generation = before
    machine.look(counters)
    assert "draining" == machine.phases()["web2"]
    machine.generation = before + 1
    machine.look({"web1": 3, "web2": 1})
    assert "draining" == machine.phases()["web2"]
    machine.look(counters)
    assert "stopping" == machine.phases()["web2"]
    assert [] == machine.stopped()
    machine.publish()
    assert ["web2"] == machine.stopped()
    machine.stop("web2")
    assert {"web1": "serving"} == machine.phases()


def test_the_least_busy_is_drained_and_the_newest_among_equals() -> None:
    machine = serving(4)
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 2)))
    machine.look({"web1": 2, "web2": 1, "web3": 2, "web4": 2})
    assert ["serving", "draining", "serving", "draining"] == list(machine.phases().values())


def test_a_drain_ends_at_its_deadline_whatever_is_in_flight() -> None:
    machine = serving(2)
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 1)))
    machine.look({"web1": 1, "web2": 1})
    machine.publish()
    machine.wait(29.9)
    machine.look({"web1": 1, "web2": 1})
    assert "draining" == machine.phases()["web2"]
    machine.wait(0.1)
    machine.look({"web1": 1, "web2": 1})
    assert "stopping" == machine.phases()["web2"]


def test_a_drains_time_runs_from_when_proxies_can_know_of_it() -> None:
    machine = serving(2)
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 1)))
    machine.look({"web1": 1, "web2": 1})
    assert machine.state.publishing is not None
    machine.take(Unpublished(machine.now, machine.state.publishing, "the store cannot be reached"))
    machine.wait(machine.policy.life.drain_timeout_s + 1)
    machine.tick(reading(generation=machine.generation))
    assert "draining" == machine.phases()["web2"]
    machine.publish()
    published = machine.now
    machine.wait(1)
    machine.tick(reading(generation=machine.generation, leaving={"web2": 1}))
    assert "draining" == machine.phases()["web2"]
    assert published + machine.policy.life.drain_timeout_s == machine.instances["web2"].deadline


def test_what_does_not_serve_yet_is_cancelled_before_anything_drains() -> None:
    machine = serving(2)
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 4)))
    machine.publish()
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 3)))
    assert {"web1": "serving", "web2": "serving", "web3": "starting", "web4": "stopping"} == machine.phases()
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 2)))
    assert "stopping" == machine.phases()["web3"]
    assert [] == machine.emitted(Look)


def test_a_missing_proxy_lets_nothing_go_by_choice() -> None:
    machine = serving(2)
    machine.tick(reading())
    machine.wait(1)
    machine.tick(silent=("p",))
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 1)))
    machine.wait(1)
    machine.tick(silent=("p",))
    assert ({"web1": "serving", "web2": "serving"}, []) == (machine.phases(), machine.emitted(Look))


def test_a_missing_proxy_does_not_hold_up_an_order_for_more() -> None:
    machine = serving(1)
    machine.tick(silent=("p",))
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 2)))
    assert "starting" == machine.phases()["web2"]


def test_a_silent_proxy_is_forgotten_after_its_time_and_one_that_outlives_its_agent_never() -> None:
    machine = serving(1)
    machine.tick(reading("m"), reading("h", outlives_agent=True))
    for _ in range(61):
        machine.wait(1)
        machine.tick(silent=("h", "m"))
    assert ["m"] == [one.subject for taken in machine.steps for one in happenings(taken) if one.kind == "proxy"]
    assert ["h"] == list(machine.state.proxies)


def test_what_leaves_is_read_with_every_tick_and_never_in_detail() -> None:
    machine = serving(3)
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 2)))
    machine.look({"web1": 1, "web2": 1, "web3": 0})
    machine.publish()
    applied = {"generation": machine.generation}
    machine.tick(reading("a", **applied), reading("b", leaving={"web3": 1}, **applied))
    assert ("draining", []) == (machine.phases()["web3"], machine.emitted(Look))
    machine.tick(reading("a", **applied), reading("b", **applied))
    assert ("stopping", []) == (machine.phases()["web3"], machine.emitted(Look))


def test_one_that_outlives_its_agent_is_known_as_such_to_a_scaler_that_never_saw_it_alive() -> None:
    machine = serving(1)
    for _ in range(61):
        machine.wait(1)
        machine.take(Tick(machine.now, Sighting((), ("h", "m"), lasting=frozenset({"h"})), machine.now))
    assert (["m"], ["h"]) == (told(machine, "proxy"), list(machine.state.proxies))


def test_a_missing_proxy_is_forgotten_by_order_at_once() -> None:
    machine = serving(2)
    machine.tick(reading("h", outlives_agent=True), reading("p"))
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 1)))
    machine.tick(reading("p"), silent=("h",))
    machine.take(Ordered(machine.now, Order(OrderKind.FORGET, None, "2-1", "h")))
    assert [Forget("h")] == machine.emitted(Forget)
    assert ["ordered; silent for 0 s"] == [one.reasons[0] for one in machine.told() if one.kind == "proxy"]
    assert ("2-1", ["p"]) == (machine.state.last_order, list(machine.state.proxies))
    machine.tick(reading("p"), detail=True)
    assert "draining" in machine.phases().values()


@pytest.mark.parametrize("proxy", ["p", "nobody"])
def test_a_proxy_that_is_not_missing_is_not_forgotten(proxy: str) -> None:
    machine = serving(1)
    machine.tick(reading("p"))
    machine.take(Ordered(machine.now, Order(OrderKind.FORGET, None, "2-1", proxy)))
    assert ([], ["p"]) == (machine.emitted(Forget), list(machine.state.proxies))
    assert ["not missing: nothing waits for it"] == [one.reasons[0] for one in machine.told() if one.kind == "order"]


def idle_until_decided() -> Machine:
    """One serves, nothing came for a window, and who goes is about to be looked at."""
    machine = Machine(policy(min=0, stabilisation_s=0.0))
    machine.lead(found("web1"), memory=Memory(snapshot(listed("web1")), 1, desired=1), ready=["web1"])
    while machine.state.desired:
        machine.rps(0.0, 1.0)
    assert machine.emitted(Look)
    return machine


@pytest.mark.parametrize(("came", "phase"), [(0, "draining"), (9, "serving")])
def test_the_last_one_stays_where_requests_came_between_the_decision_and_the_look_at_who_goes(
    came: int, phase: str
) -> None:
    machine = idle_until_decided()
    machine.wait(0.5)
    uptime_ms = round((machine.now - EPOCH_S) * 1000)
    machine.look({"web1": 0}, arrivals=machine.arrivals + came, uptime_ms=uptime_ms)
    assert phase == machine.phases()["web1"]


def test_nothing_by_order_means_nothing_whatever_comes() -> None:
    machine = idle_until_decided()
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 0)))
    machine.wait(0.5)
    uptime_ms = round((machine.now - EPOCH_S) * 1000)
    machine.look({"web1": 0}, arrivals=machine.arrivals + 9, uptime_ms=uptime_ms)
    assert "draining" == machine.phases()["web1"]


def test_what_serves_stays_until_somebody_looked_whether_requests_come() -> None:
    machine = Machine(policy(min=0))
    machine.lead(found("web1"), memory=Memory(snapshot(listed("web1")), 1, desired=0), ready=["web1"])
    assert (None, {"web1": "serving"}) == (machine.state.load, machine.phases())


def test_a_close_lets_everything_go_below_the_minimum_and_starts_nothing() -> None:
    machine = serving(2)
    machine.take(Closed(machine.now))
    machine.look({"web1": 0, "web2": 0})
    assert {"web1": "draining", "web2": "draining"} == machine.phases()
    machine.publish()
    machine.look({"web1": 0, "web2": 0})
    machine.publish()
    machine.stop("web1")
    machine.stop("web2")
    machine.tick(reading())
    assert ({}, []) == (machine.phases(), machine.started())


def test_a_close_of_an_empty_fleet_is_published_so_that_its_end_is_seen() -> None:
    machine = Machine(policy(min=0))
    machine.lead()
    machine.take(Closed(machine.now))
    assert {} == machine.change().backends


def test_a_close_cancels_what_starts() -> None:
    machine = Machine()
    machine.lead()
    machine.take(Closed(machine.now))
    assert {"web1": "stopping"} == machine.phases()


def test_an_empty_list_of_hosts_starts_nothing_and_says_why() -> None:
    machine = Machine()
    machine.elect()
    machine.adopt(hosts=())
    assert {} == machine.phases()
    machine.tick()
    assert "no-host" in machine.state.alarms
    machine.take(Counted(machine.now, census(asked_at=machine.now)))
    machine.tick()
    assert ({"web1": "starting"}, False) == (machine.phases(), "no-host" in machine.state.alarms)


def test_orders_are_spread_over_the_hosts_counting_what_is_ordered() -> None:
    machine = Machine(policy(min=3))
    machine.elect()
    machine.adopt(hosts=("a", "b"))
    assert ["a", "b", "a"] == [one.host for one in machine.instances.values()]


def test_a_close_drains_although_a_proxy_is_missing() -> None:
    machine = serving(1)
    machine.tick(silent=("p",))
    machine.take(Closed(machine.now))
    machine.tick(silent=("p",), detail=True)
    assert {"web1": "draining"} == machine.phases()


def test_a_drain_is_not_over_while_a_proxy_is_missing() -> None:
    machine = serving(2)
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 1)))
    machine.look({"web1": 1, "web2": 0})
    machine.publish()
    told = reading(generation=machine.generation, backends={})
    machine.tick(told, silent=("q",), detail=True)
    assert "draining" == machine.phases()["web2"]
    machine.tick(told, detail=True)
    assert "stopping" == machine.phases()["web2"]


def test_a_proxy_that_tells_nothing_of_a_backend_has_nothing_in_flight_there() -> None:
    machine = serving(2)
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 1)))
    busy = {"web2": BackendCounters(in_flight=2)}
    machine.tick(reading("a", backends=busy), reading("b", backends={}), reading("c"), detail=True)
    assert {"web1": "draining", "web2": "serving"} == machine.phases()


def test_an_instance_of_an_older_definition_goes_first() -> None:
    machine = Machine(policy({"settle_s": 0}))
    memory = Memory(snapshot(listed("web1", spec="old"), listed("web2")), serial=2, desired=2)
    machine.lead(found("web1", spec="old"), found("web2"), memory=memory)
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 1)))
    machine.look({"web1": 9, "web2": 0})
    assert ("draining", "serving") == (machine.phases()["web1"], machine.phases()["web2"])


def test_each_act_is_emitted_once() -> None:
    machine = Machine(policy(min=2))
    machine.lead()
    machine.start("web1")
    machine.ready("web1")
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 3)))
    machine.publish()
    assert ["web1", "web2", "web3"] == machine.started()


def test_a_stop_of_what_is_not_known_is_late() -> None:
    machine = serving(1)
    machine.take(Stopped(machine.now, "web9"))
    assert ("late: stopped for web9, which is not known",) == machine.last.notes


def test_last_words_are_told_of_one_that_never_got_ready_and_of_no_other() -> None:
    machine = Machine()
    machine.lead()
    machine.take(StartFailed(machine.now, "web1", "no image"))
    machine.publish()
    machine.take(Stopped(machine.now, "web1", ("bang",)))
    assert "stopped and removed" == machine.reasons("web1")[-1]


def test_what_is_on_its_way_stays_while_those_that_serve_fail() -> None:
    machine = serving(3)
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 5)))
    machine.tick()
    machine.publish()
    for name in ("web1", "web2", "web3"):
        probe(machine, name, *[Outcome.BAD] * 3)
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 4)))
    machine.tick()
    assert ["serving"] * 3 + ["starting"] * 2 == list(machine.phases().values())


def test_a_fleet_that_needs_nobody_does_not_ask_for_hosts() -> None:
    machine = Machine(policy(min=0))
    machine.elect()
    machine.adopt(hosts=())
    machine.tick()
    assert "no-host" not in machine.state.alarms
