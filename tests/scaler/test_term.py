"""The start and the end of a term: what is taken over in every combination of registry, hosts and memory."""

from __future__ import annotations

import pytest

from fleet.backend import Phase
from fleet.registry import Memory, Order, OrderKind, Snapshot
from scaler.messages import (
    Adopted,
    Closed,
    Deposed,
    Elected,
    Ordered,
    Refused,
    Start,
    Started,
    StartFailed,
    Watch,
)
from tests.scaler.builders import (
    EMPTY,
    Machine,
    census,
    found,
    listed,
    policy,
    reading,
    remembered,
    serving,
    snapshot,
    surveys,
    url,
)


def test_a_settled_lease_asks_for_the_survey_at_its_first_look_at_the_proxies() -> None:
    machine = Machine()
    assert [0, 0, 1, 0] == [
        surveys(taken) for taken in (machine.elect(), machine.blind(), machine.tick(), machine.tick())
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Phase.STARTING, "warming"),
        (Phase.WARMING, "warming"),
        (Phase.SERVING, "serving"),
        (Phase.DRAINING, "draining"),
        (Phase.STOPPING, "stopping"),
        (Phase.FAILED, "stopping"),
        (Phase.GONE, "stopping"),
    ],
)
def test_what_is_listed_and_runs_goes_on_in_its_phase(before: Phase, after: str) -> None:
    machine = Machine(policy(min=0))
    machine.elect()
    machine.adopt(found("web1"), memory=remembered(web1=before, desired=1))
    assert after == machine.phases()["web1"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Phase.STARTING, "failed"),
        (Phase.WARMING, "failed"),
        (Phase.SERVING, "stopping"),
        (Phase.DRAINING, "stopping"),
        (Phase.STOPPING, "stopping"),
        (Phase.FAILED, "stopping"),
    ],
)
def test_what_is_listed_and_has_ended_is_removed(before: Phase, after: str) -> None:
    machine = Machine(policy(min=0))
    machine.elect()
    machine.adopt(found("web1", running=False, exit_code=3), memory=remembered(web1=before, desired=0))
    assert {"web1": after} == machine.phases()
    machine.publish()
    assert ["web1"] == machine.stopped()


@pytest.mark.parametrize("before", list(Phase))
def test_what_is_listed_and_not_there_is_gone(before: Phase) -> None:
    machine = Machine(policy(min=0))
    machine.elect()
    machine.adopt(memory=remembered(web1=before, desired=0))
    assert {} == machine.phases()
    assert {} == machine.change().backends
    assert ["in the registry, but not there"] == machine.reasons("web1")


def test_what_is_not_there_is_told_in_the_order_of_the_registry() -> None:
    names = [f"web{number}" for number in (5, 3, 8, 1, 7, 2)]
    machine = Machine(policy(min=0))
    machine.elect()
    machine.adopt(memory=remembered(*names, desired=0))
    gone = [one.subject for one in machine.change().happenings if one.after == "gone"]
    assert names == gone


def test_what_is_listed_on_a_silent_host_is_kept_as_it_was() -> None:
    machine = Machine(policy(min=0))
    machine.elect()
    machine.adopt(memory=remembered("web1", web2=Phase.DRAINING, desired=1), hosts=("local",), answered=())
    assert {"web1": "serving", "web2": "draining"} == machine.phases()
    assert machine.now == machine.instances["web1"].since


@pytest.mark.parametrize(
    ("before", "complete", "after", "then"),
    [
        (Phase.STARTING, True, "starting", "stopping"),
        (Phase.STARTING, False, "warming", "draining"),
        (Phase.WARMING, True, "warming", "draining"),
        (Phase.WARMING, False, "warming", "draining"),
        (Phase.STOPPING, True, "stopping", "stopping"),
        (Phase.STOPPING, False, "draining", "draining"),
        (Phase.FAILED, True, "failed", "failed"),
        (Phase.FAILED, False, "draining", "draining"),
    ],
)
def test_what_may_have_served_on_a_silent_host_since_an_old_registry_drains_before_it_goes(
    before: Phase, complete: bool, after: str, then: str
) -> None:
    machine = Machine(policy(min=0))
    machine.tick(reading(generation=1 if complete else 99))
    machine.elect()
    machine.adopt(memory=remembered(web1=before, desired=1), hosts=("local",), answered=())
    assert after == machine.phases()["web1"]
    machine.take(Closed(machine.now))
    machine.tick(reading(generation=99))
    assert then == machine.phases()["web1"]


def test_the_address_of_the_host_wins_over_the_registrys() -> None:
    machine = Machine()
    machine.elect()
    machine.adopt(found("web1", url=url("web7")), memory=remembered("web1", desired=1))
    assert url("web7") == machine.change().backends["web1"].url


def test_what_runs_and_is_not_listed_is_removed() -> None:
    machine = Machine()
    machine.elect()
    machine.adopt(found("web1"), found("web2"), memory=remembered("web1", desired=1))
    assert {"web1": "serving", "web2": "draining"} == machine.phases()
    assert ["labelled as ours, not in the registry"] == machine.reasons("web2")


def test_what_runs_is_adopted_where_an_entry_could_not_be_read() -> None:
    machine = Machine()
    machine.elect()
    memory = Memory(Snapshot(5, {"web1": listed("web1")}, ("backend web2: not JSON",)), desired=1)
    machine.adopt(found("web1"), found("web2"), memory=memory, ready=["web2"])
    assert {"web1": "serving", "web2": "serving"} == machine.phases()
    assert ["backend web2: not JSON"] == machine.reasons("registry")


def test_orders_in_force_survive_a_restart() -> None:
    machine = Machine()
    machine.elect()
    machine.adopt(found("web1"), memory=Memory(snapshot(listed("web1")), 1, manual=3, desired=3, last_order="5-1"))
    assert (3, 3, "5-1") == (machine.state.manual, machine.state.desired, machine.state.last_order)
    paused = Machine()
    paused.elect()
    paused.adopt(memory=Memory(snapshot(), 1, paused=True, desired=4))
    assert (True, 4) == (paused.state.paused, paused.state.desired)


def test_taking_over_is_told_with_what_was_found() -> None:
    machine = Machine()
    machine.elect(token=42)
    machine.adopt(found("web1"), memory=remembered("web1", web2=Phase.SERVING, desired=1))
    [told] = [one for one in machine.told() if one.kind == "term"]
    assert ("42", ("took over with 1 serving",)) == (told.after, told.reasons)


def test_a_survey_of_an_earlier_term_is_late() -> None:
    machine = Machine()
    machine.elect(token=1)
    machine.take(Deposed(machine.now, "taken"))
    machine.take(Adopted(machine.now, 1, census(asked_at=machine.now), EMPTY))
    assert ("late: a survey for token 1",) == machine.last.notes
    machine.elect(token=3)
    machine.take(Adopted(machine.now, 1, census(asked_at=machine.now), EMPTY))
    assert (("late: a survey for token 1",), False) == (machine.last.notes, machine.state.adopted)


def test_a_second_survey_of_the_same_term_is_late() -> None:
    machine = serving(1)
    before = machine.state
    machine.adopt(memory=EMPTY)
    assert (("late: a survey for token 1",), before) == (machine.last.notes, machine.state)


def test_a_term_that_ended_during_the_survey_does_nothing_with_its_answer() -> None:
    machine = Machine()
    machine.elect()
    machine.take(Refused(machine.now, "taken"))
    machine.adopt(found("web1"))
    assert ({}, ()) == (machine.phases(), machine.last.effects)


def test_the_end_of_a_term_stops_every_probe() -> None:
    machine = serving(1)
    machine.take(Deposed(machine.now, "taken"))
    assert [Watch(())] == list(machine.last.effects)
    machine.take(Deposed(machine.now, "again"))
    assert ["no term to end: again"] == [*machine.last.effects, *machine.last.notes]


def test_a_new_term_acts_again_on_what_an_earlier_one_had_not_finished() -> None:
    machine = Machine(policy(min=0))
    machine.elect()
    machine.adopt(found("web1"), memory=remembered(web1=Phase.STOPPING, desired=0))
    machine.publish()
    machine.take(Deposed(machine.now, "taken"))
    machine.elect(token=2)
    machine.adopt(found("web1"), memory=remembered(web1=Phase.STOPPING, desired=0, generation=99))
    machine.publish()
    assert ["web1", "web1"] == machine.stopped()


def test_a_deadline_starts_again_with_the_new_scaler() -> None:
    machine = Machine(policy(min=0))
    machine.elect()
    machine.adopt(found("web1"), memory=remembered(web1=Phase.DRAINING, desired=0))
    assert machine.now + 30.0 == machine.instances["web1"].deadline


def test_an_adopted_fleet_starts_nothing_twice() -> None:
    machine = Machine()
    machine.elect()
    machine.adopt(found("web1"), memory=remembered(web1=Phase.STARTING, web2=Phase.STARTING, desired=2))
    machine.publish()
    assert ["web10"] == machine.started()
    assert [] == [effect for effect in machine.steps[1].effects if isinstance(effect, Start)]


def test_a_term_runs_out_one_ttl_after_its_renewal_was_sent() -> None:
    machine = Machine()
    machine.take(Elected(machine.now, 1, machine.now - 1.5, machine.now, 4.0))
    machine.adopt()
    machine.wait(2.4)
    machine.take(Ordered(machine.now, Order(OrderKind.SCALE, 2)))
    assert 2 == machine.state.desired
    machine.wait(0.1)
    machine.take(Ordered(machine.now, Order(OrderKind.SCALE, 3)))
    assert 2 == machine.state.desired


def test_a_start_on_a_silent_host_is_not_ordered_again() -> None:
    machine = Machine()
    machine.elect()
    machine.adopt(memory=remembered(web1=Phase.STARTING, desired=1), answered=())
    machine.publish()
    assert ({"web1": "starting"}, []) == (machine.phases(), machine.started())


def test_without_a_stored_count_as_many_are_desired_as_serve() -> None:
    machine = Machine()
    machine.elect()
    memory = remembered("web1", "web2", "web3", web4=Phase.DRAINING)
    machine.adopt(*(found(f"web{number}") for number in range(1, 5)), memory=memory)
    assert 3 == machine.state.desired


def test_hosts_are_remembered_where_none_could_be_counted() -> None:
    machine = serving(1)
    machine.take(Deposed(machine.now, "taken"))
    machine.elect(token=2)
    machine.adopt(memory=remembered("web1", generation=99, desired=1), hosts=())
    assert ("local",) == machine.state.hosts


def test_a_late_survey_is_no_occasion_for_a_decision() -> None:
    machine = Machine()
    machine.lead()
    machine.take(StartFailed(machine.now, "web1", "no image"))
    machine.publish()
    machine.stop("web1")
    machine.wait(1.0)
    machine.adopt(memory=EMPTY)
    assert {} == machine.phases()
    machine.tick(reading())
    assert {"web2": "starting"} == machine.phases()


def test_what_warms_and_may_have_served_under_an_earlier_holder_drains_before_it_goes() -> None:
    machine = Machine(policy(min=0, life={"start_timeout_s": 30.0}))
    machine.elect()
    machine.adopt(found("web1"), memory=remembered(web1=Phase.WARMING, desired=1))
    machine.publish()
    machine.wait(31)
    machine.tick(reading(generation=machine.generation))
    assert "draining" == machine.phases()["web1"]


def test_what_answers_after_the_term_is_over_has_nothing_probed_again() -> None:
    machine = serving(1)
    machine.take(Ordered(machine.now, Order(OrderKind.SCALE, 2, "1-1")))
    machine.publish()
    machine.take(Deposed(machine.now, "the lease ran out or was taken"))
    machine.take(Started(machine.now, "web2", url("web2"), "local"))
    assert ("warming", []) == (machine.phases()["web2"], machine.emitted(Watch))
    assert () == machine.state.watched


def test_what_goes_on_serving_is_shown_with_the_time_that_the_registry_knows() -> None:
    machine = Machine()
    known = [listed("web1", since=400.0), listed("web2"), listed("web3", since=machine.now + 50)]
    machine.elect()
    machine.adopt(*(found(one.name) for one in known), memory=Memory(snapshot(*known), 3, desired=3))
    since = {name: one.since for name, one in machine.change().backends.items()}
    assert {"web1": 400.0, "web2": machine.now, "web3": machine.now} == since
    machine.publish()
    machine.wait(1)
    machine.take(Closed(machine.now))
    machine.publish()
    machine.look(dict.fromkeys(machine.phases(), 0))
    assert {machine.now} == {one.since for one in machine.change().backends.values()}
