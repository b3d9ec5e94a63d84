"""The machine, event by event: what it orders, when it acts, what it leaves alone."""

from __future__ import annotations

import pytest

from fleet.backend import Phase
from fleet.registry import Order, OrderKind
from scaler.messages import (
    Closed,
    Count,
    Counted,
    Deposed,
    Look,
    Ordered,
    Outcome,
    Overwritten,
    Placement,
    Probed,
    Publish,
    Published,
    Refused,
    Report,
    Start,
    Started,
    StartFailed,
    Stop,
    StopFailed,
    Stopped,
    Unpublished,
    Watch,
)
from tests.scaler.builders import EPOCH_S, Machine, census, found, happenings, policy, reading, serving, surveys, url


def order(kind: OrderKind, count: int | None = None, entry: str = "1-1") -> Order:
    return Order(kind, count, entry)


def test_a_first_start_publishes_the_order_before_it_acts() -> None:
    machine = Machine()
    machine.elect()
    machine.adopt()
    assert [] == machine.emitted(Start)
    assert {"web1": Phase.STARTING} == {name: one.phase for name, one in machine.change().backends.items()}
    machine.publish()
    assert [Start((Placement("web1", "local", "spec1"),))] == machine.emitted(Start)


def test_an_instance_serves_at_its_first_good_probe() -> None:
    machine = Machine()
    machine.lead()
    machine.start("web1")
    machine.ready("web1")
    assert {"web1": "serving"} == machine.phases()
    assert any(reason.startswith("ready after") for reason in machine.reasons("web1"))


def test_a_started_instance_is_watched_closely_and_a_serving_one_rarely() -> None:
    machine = Machine()
    machine.lead()
    machine.take(Started(machine.now, "web1", url("web1"), "local"))
    assert [Watch((("web1", url("web1"), 0.1),))] == machine.emitted(Watch)
    machine.publish()
    machine.take(Probed(machine.now, "web1", Outcome.READY))
    assert [Watch((("web1", url("web1"), 10.0),))] == machine.emitted(Watch)


def test_nothing_is_decided_before_the_survey_is_answered() -> None:
    machine = Machine()
    machine.elect()
    machine.tick(reading())
    assert {} == machine.phases()
    assert (0, ()) == (machine.state.desired, machine.last.effects)


def test_nothing_is_done_without_a_term() -> None:
    machine = Machine()
    machine.tick(reading())
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 3)))
    assert ([], {}) == ([*machine.steps[0].effects, *machine.steps[1].effects], machine.phases())


def test_a_term_that_was_not_renewed_in_time_acts_no_more() -> None:
    machine = serving(1)
    machine.wait(4.0)
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 3)))
    assert () == machine.last.effects
    machine.tick(reading())
    assert {"web2", "web3"} == set(machine.change().backends) - {"web1"}


def test_what_was_told_while_nothing_could_be_written_is_told_later() -> None:
    machine = serving(1)
    machine.wait(4.0)
    machine.take(Ordered(machine.now, order(OrderKind.PAUSE)))
    assert ((), 1) == (machine.last.effects, len(machine.state.untold))
    machine.tick(reading())
    assert ["pause"] == [one.subject for one in machine.told() if one.kind == "order"]
    assert () == machine.state.untold


def test_acts_wait_for_the_publication_that_is_still_to_come() -> None:
    machine = Machine()
    machine.elect()
    machine.adopt()
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 2)))
    assert [] == machine.emitted(Publish)
    machine.answer()
    assert ([], 1) == (machine.emitted(Start), len(machine.emitted(Publish)))
    machine.publish()
    assert ["web1", "web2"] == machine.started()


def test_a_publication_that_failed_is_tried_again_at_the_next_tick() -> None:
    machine = Machine()
    machine.elect()
    machine.adopt()
    [first] = machine.emitted(Publish)
    machine.take(Unpublished(machine.now, first.version, "gone"))
    assert ["version 1 was not published: gone"] == list(machine.last.notes)
    machine.tick(reading())
    assert [first.version] == [effect.version for effect in machine.emitted(Publish)]
    assert [] == machine.emitted(Start)


def test_a_registry_that_a_stranger_wrote_to_is_published_again_and_told() -> None:
    machine = serving(1)
    machine.take(Overwritten(machine.now, "not as it was published: backends 'web1'"))
    [again] = machine.emitted(Publish)
    assert {"web1": Phase.SERVING} == {name: one.phase for name, one in again.change.backends.items()}
    assert [("registry", "written again", ("not as it was published: backends 'web1'",))] == [
        (told.subject, told.after, told.reasons) for told in again.change.happenings if told.kind == "fault"
    ]
    machine.publish()
    assert [] == machine.emitted(Publish)


def test_a_registry_that_a_stranger_wrote_to_is_none_of_a_deposed_scalers_business() -> None:
    machine = serving(1)
    machine.take(Deposed(machine.now, "taken"))
    machine.take(Overwritten(machine.now, "garbage"))
    assert ((), ("Overwritten outside a term",)) == (machine.last.effects, machine.last.notes)


def test_an_answer_to_an_older_publication_changes_nothing() -> None:
    machine = serving(1)
    before = machine.state
    machine.take(Published(machine.now, 99, 1))
    assert (before, ("late: an answer to version 99",)) == (machine.state, machine.last.notes)


def test_a_refusal_ends_the_term_and_drops_what_was_pending() -> None:
    machine = Machine()
    machine.elect()
    machine.adopt()
    machine.take(Refused(machine.now, "another acts"))
    assert (None, [Watch(())]) == (machine.state.term, list(machine.last.effects))
    machine.tick(reading())
    machine.take(Published(machine.now, 1, 5))
    assert [] == machine.started()


def test_a_deposed_scaler_keeps_its_memory() -> None:
    machine = serving(2)
    machine.take(Deposed(machine.now, "taken"))
    machine.tick(reading())
    assert ({"web1": "serving", "web2": "serving"}, ()) == (machine.phases(), machine.last.effects)


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


def test_a_blind_tick_changes_nothing_and_says_so() -> None:
    machine = serving(1)
    before = machine.state
    machine.wait(1)
    machine.blind()
    assert ("the store cannot be read: holding",) == machine.last.notes
    assert before.instances == machine.state.instances


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


def test_a_failed_start_is_removed_and_the_next_waits() -> None:
    machine = Machine()
    machine.lead()
    machine.take(StartFailed(machine.now, "web1", "it exited", 7, ("bang",)))
    assert {"web1": "failed"} == machine.phases()
    assert "it exited; exit code 7; last log lines: bang" in machine.reasons("web1")
    machine.publish()
    assert [Stop("web1", "local", 0.0)] == machine.emitted(Stop)
    machine.stop("web1")
    machine.wait(0.9)
    machine.tick()
    assert {} == machine.phases()
    assert "back-off: no start yet after 1 failed in a row" in machine.state.reasons
    machine.wait(0.1)
    machine.tick()
    assert {"web2": "starting"} == machine.phases()


def test_a_start_that_is_never_answered_is_given_up_at_its_deadline() -> None:
    machine = Machine()
    machine.lead()
    machine.wait(59.9)
    machine.tick()
    assert {"web1": "starting"} == machine.phases()
    machine.wait(0.1)
    machine.tick()
    assert "failed" == machine.phases()["web1"]


def test_the_time_for_pulling_an_image_comes_on_top_of_a_start() -> None:
    slow = policy()
    machine = Machine(type(slow)(slow.app, slow.spec, slow.sizes, slow.life, pull_s=300.0))
    machine.lead()
    assert EPOCH_S + 360.0 == machine.instances["web1"].deadline


def test_a_late_start_is_looked_for_by_a_census() -> None:
    machine = serving(1)
    machine.take(Started(machine.now, "web9", url("web9"), "local"))
    assert [Count()] == machine.emitted(Count)
    assert {"web1": "serving"} == machine.phases()


def test_a_stop_that_failed_is_told_and_tried_again_at_its_deadline() -> None:
    machine = serving(2)
    machine.wait(1)
    machine.take(Counted(machine.now, census(found("web1"), asked_at=machine.now)))
    machine.publish()
    machine.take(StopFailed(machine.now, "web2", "busy"))
    assert ["busy"] == [reason for one in machine.told() for reason in one.reasons]
    machine.wait(60)
    machine.tick()
    machine.publish()
    assert 2 == machine.stopped().count("web2")


def test_an_answer_to_a_stop_that_is_being_repeated_is_late() -> None:
    machine = serving(2)
    machine.wait(1)
    machine.take(Counted(machine.now, census(found("web1"), asked_at=machine.now)))
    machine.publish()
    machine.wait(60)
    machine.tick()
    machine.take(Stopped(machine.now, "web2"))
    assert ("late: web2 stopped",) == machine.last.notes


@pytest.mark.parametrize("phase", ["starting", "warming", "serving", "draining"])
def test_a_stop_of_what_is_not_leaving_is_late(phase: str) -> None:
    machine = serving(1)
    instance = machine.instances["web1"]
    machine.state.instances["web1"] = type(instance)(  # type: ignore[index]  # a test may look inside
        "web1", Phase(phase), "local", "spec1", since=machine.now, deadline=None, version=1, generation=1, acted=True
    )
    machine.take(Stopped(machine.now, "web1"))
    assert {"web1": phase} == machine.phases()


def test_the_fleet_is_busy_then_ready_then_up_or_idle() -> None:
    machine = Machine()
    machine.lead()
    seen = [machine.state.fleet_state]
    machine.start("web1")
    machine.tick(reading())
    machine.take(Probed(machine.now, "web1", Outcome.READY))
    seen.append(machine.state.fleet_state)
    machine.publish()
    machine.tick(reading(generation=machine.generation - 1))
    seen.append(machine.state.fleet_state)
    machine.tick(reading(generation=machine.generation))
    seen.append(machine.state.fleet_state)
    machine.take(Ordered(machine.now, order(OrderKind.SCALE, 2)))
    seen.append(machine.state.fleet_state)
    machine.publish()
    machine.start("web2")
    machine.ready("web2")
    machine.tick(reading(generation=machine.generation))
    seen.append(machine.state.fleet_state)
    assert ["BUSY", "READY", "READY", "IDLE", "BUSY", "UP"] == seen


def test_every_change_of_the_fleets_state_is_told_with_a_reason() -> None:
    machine = Machine()
    machine.lead()
    machine.start("web1")
    machine.ready("web1")
    states = [one for taken in machine.steps for one in happenings(taken) if one.kind == "state"]
    assert [("BUSY", "IDLE")] == [(one.before, one.after) for one in states]
    assert [("web1 serving",)] == [one.reasons for one in states]


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


def test_every_tick_of_a_term_refreshes_what_status_shows() -> None:
    machine = serving(1)
    machine.tick(reading(in_flight=4))
    [report] = machine.emitted(Report)
    assert (1, 4) == (report.summary.desired, report.summary.in_flight)


def test_a_census_is_taken_often_only_while_something_warms() -> None:
    machine = serving(1, min=2)
    machine.start("web2")
    counts = []
    for _ in range(12):
        machine.wait(1)
        machine.tick()
        counts.append(len(machine.emitted(Count)))
    assert [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1] == counts
    machine.ready("web2")
    counts = []
    for _ in range(12):
        machine.wait(1)
        machine.tick()
        counts.append(len(machine.emitted(Count)))
    assert [9] == [at for at, taken in enumerate(counts) if taken]


def test_a_survey_is_asked_for_once_and_not_before_acts_may_begin() -> None:
    machine = Machine()
    machine.elect(settled_in_s=4.0)
    asked = [surveys(machine.last)]
    for _ in range(6):
        machine.wait(1)
        machine.tick(reading())
        asked.append(surveys(machine.last))
    assert [0, 0, 0, 0, 1, 0, 0] == asked
