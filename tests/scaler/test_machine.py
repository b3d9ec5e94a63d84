"""The machine, event by event: what it orders, when it acts, what it leaves alone."""

from __future__ import annotations

import pytest

from fleet.backend import Phase
from fleet.registry import Order, OrderKind
from scaler.messages import (
    Count,
    Counted,
    Deposed,
    Ordered,
    Outcome,
    Overwritten,
    Placement,
    Probed,
    Publish,
    Published,
    Refused,
    Start,
    Started,
    StartFailed,
    Stop,
    StopFailed,
    Stopped,
    Survey,
    Unpublished,
    Watch,
)
from tests.scaler.builders import (
    EPOCH_S,
    Machine,
    census,
    found,
    happenings,
    policy,
    reading,
    serving,
    surveys,
    url,
)


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
    machine.tick(reading())
    assert {} == machine.phases()
    assert (0, [(Survey(1),), ()]) == (machine.state.desired, [taken.effects for taken in machine.steps[-2:]])


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


def test_a_blind_tick_changes_nothing_and_says_so() -> None:
    machine = serving(1)
    before = machine.state
    machine.wait(1)
    machine.blind()
    assert ("the store cannot be read: holding",) == machine.last.notes
    assert before.instances == machine.state.instances


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
    assert "stopping" == machine.phases()["web2"]


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


def test_a_state_that_comes_about_without_an_instance_says_which_proxies_it_waits_for() -> None:
    machine = serving(1)
    at = machine.generation
    machine.tick(reading(generation=at))
    machine.tick(reading(generation=at), reading("new", generation=0))
    machine.tick(reading(generation=at), reading("new", generation=at))
    states = [one for taken in machine.steps for one in happenings(taken) if one.kind == "state"]
    assert [
        ("IDLE", "READY", ("a proxy has not applied it yet",)),
        ("READY", "IDLE", ("applied by every proxy",)),
    ] == [(one.before, one.after, one.reasons) for one in states[-2:]]


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


def test_a_survey_that_took_longer_than_the_lease_decides_nothing() -> None:
    machine = Machine()
    machine.elect()
    machine.wait(5)
    machine.adopt()
    assert (0, {}, []) == (machine.state.desired, machine.phases(), machine.emitted(Publish))


def test_a_publication_that_took_longer_than_the_lease_starts_nothing() -> None:
    machine = Machine()
    machine.elect()
    machine.adopt()
    machine.wait(5)
    machine.answer()
    assert () == machine.last.effects


def test_checks_outside_a_term_are_late() -> None:
    machine = Machine()
    machine.lead()
    machine.start("web1")
    machine.wait(5)
    machine.take(Counted(machine.now, census(asked_at=machine.now)))
    assert (("Counted outside a term",), {"web1": "warming"}) == (machine.last.notes, machine.phases())
    machine.take(Deposed(machine.now, "taken"))
    assert ("the term is over: taken",) == machine.last.notes
    machine.take(Probed(machine.now, "web1", Outcome.READY))
    assert (("Probed outside a term",), {"web1": "warming"}) == (machine.last.notes, machine.phases())


def test_a_death_seen_while_the_lease_is_out_is_not_replaced_yet() -> None:
    machine = serving(1)
    machine.wait(5)
    for _ in range(2):
        machine.take(Probed(machine.now, "web1", Outcome.REFUSED))
    assert {"web1": "stopping"} == machine.phases()
    machine.tick(reading())
    assert "starting" == machine.phases()["web2"]
