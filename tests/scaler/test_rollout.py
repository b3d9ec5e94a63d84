"""Where one release becomes the next; the whole way is played in tests/scenarios/deploy*.txt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.backend import Phase
from fleet.registry import Memory, Order, OrderKind, Sighting
from fleet.release import Asked, Release, Releases, Rollout
from scaler.messages import (
    Closed,
    Ordered,
    Outcome,
    Probed,
    Resolve,
    Resolved,
    Start,
    Started,
    StartFailed,
    Stopped,
    Tick,
    Unresolved,
    Watch,
)
from tests.scaler.builders import APP, SPEC, Machine, found, happenings, listed, policy, reading, serving, snapshot, url

PINNED = f"shop@sha256:{'0a' * 32}"


def ordered(machine: Machine, image: str = "shop:2") -> None:
    machine.take(Ordered(machine.now, Order(OrderKind.DEPLOY, id="7-1", image=image)))


def begun(count: int = 2, **sizes: int) -> Machine:
    """A machine of so many serving instances, with a rollout just begun and its one instance started."""
    machine = serving(count, **sizes)
    ordered(machine)
    machine.take(Resolved(machine.now, "shop:2", "7-1", PINNED, "spec2"))
    machine.publish()
    machine.take(Started(machine.now, f"{APP}{count + 1}", url(f"{APP}{count + 1}"), "local"))
    machine.publish()
    return machine


def deploys(machine: Machine) -> list[str]:
    return [one.after for taken in machine.steps for one in happenings(taken) if one.kind == "deploy"]


def test_an_order_has_its_image_resolved_and_that_survives_a_take_over() -> None:
    machine = serving(2)
    ordered(machine)
    assert [Resolve("shop:2", "7-1")] == machine.emitted(Resolve)
    releases = machine.change().releases
    assert releases is not None
    assert Asked("shop:2", "7-1") == releases.asked
    other = Machine()
    other.elect()
    memory = Memory(snapshot(listed("web1"), listed("web2")), 2, desired=2, releases=releases)
    other.adopt(found("web1"), found("web2"), memory=memory)
    assert [Resolve("shop:2", "7-1")] == other.emitted(Resolve)


def test_what_is_started_is_the_pinned_image() -> None:
    machine = serving(2)
    ordered(machine)
    machine.take(Resolved(machine.now, "shop:2", "7-1", PINNED, "spec2"))
    machine.publish()
    places = [
        place for taken in machine.steps for one in taken.effects if isinstance(one, Start) for place in one.placements
    ]
    assert [(PINNED, "spec2")] == [(place.image, place.spec) for place in places]


def test_an_image_that_cannot_be_had_changes_nothing() -> None:
    machine = serving(2)
    ordered(machine)
    machine.take(Unresolved(machine.now, "shop:2", "7-1", "pull access denied"))
    machine.publish()
    assert {"web1": "serving", "web2": "serving"} == machine.phases()
    assert machine.state.releases == Releases(Release(SPEC), configured=Release(SPEC))
    assert "pull access denied" in machine.reasons("shop:2")


def test_an_answer_that_nobody_waits_for_is_late() -> None:
    machine = serving(2)
    before = machine.state.releases
    machine.take(Resolved(machine.now, "shop:2", "7-1", PINNED, "spec2"))
    assert before == machine.state.releases
    assert ("late: an answer about shop:2",) == machine.last.notes


@pytest.mark.parametrize(("answer_s", "again"), [(3.9, []), (4.0, [Resolve("shop:2", "7-1")])])
def test_an_image_is_resolved_again_where_the_answer_came_while_the_lease_was_over(
    answer_s: float, again: list[Resolve]
) -> None:
    machine = serving(2)
    ordered(machine)
    machine.publish()
    machine.wait(answer_s)
    machine.take(Resolved(machine.now, "shop:2", "7-1", PINNED, "spec2"))
    machine.wait(10)
    machine.tick(reading(generation=machine.generation))  # the store had taken each renewal, and answers again
    assert again == machine.emitted(Resolve)
    machine.wait(1)
    machine.tick(reading(generation=machine.generation))
    assert [] == machine.emitted(Resolve)


def test_an_image_is_resolved_again_only_once_this_scaler_can_decide() -> None:
    machine = serving(2)
    ordered(machine)
    machine.publish()
    machine.wait(4)
    seen = Sighting((reading(generation=machine.generation),), ())
    machine.take(Tick(machine.now, seen, renewed_at=machine.now - 4))
    assert [] == machine.emitted(Resolve)
    machine.take(Tick(machine.now, seen, renewed_at=machine.now))
    assert [Resolve("shop:2", "7-1")] == machine.emitted(Resolve)


@pytest.mark.parametrize("kind", [OrderKind.DEPLOY, OrderKind.ROLLBACK])
def test_a_deploy_during_a_deploy_is_refused(kind: OrderKind) -> None:
    machine = begun()
    machine.take(Ordered(machine.now, Order(kind, id="8-1", image="shop:3" if kind is OrderKind.DEPLOY else "")))
    assert "refused" == deploys(machine)[-1]
    assert "a deploy is under way: shop:2" in [one for happening in machine.told() for one in happening.reasons]


def test_one_on_trial_is_watched_before_it_gets_requests() -> None:
    machine = begun()
    machine.take(Probed(machine.now, "web3", Outcome.READY))
    machine.wait(4.9)
    machine.tick()
    assert Phase.WARMING == machine.phases()["web3"]
    machine.wait(0.1)
    machine.tick()
    assert Phase.SERVING == machine.phases()["web3"]


def test_one_that_stumbles_while_it_is_watched_begins_again() -> None:
    machine = begun()
    machine.take(Probed(machine.now, "web3", Outcome.READY))
    machine.wait(4.0)
    machine.take(Probed(machine.now, "web3", Outcome.TIMED_OUT, "no answer within 2 s"))
    machine.take(Probed(machine.now, "web3", Outcome.READY))
    machine.wait(1.0)
    machine.tick()
    assert Phase.WARMING == machine.phases()["web3"]


def test_one_that_is_ready_is_not_overdue_while_it_is_watched() -> None:
    machine = begun()
    machine.wait(58.0)
    machine.take(Probed(machine.now, "web3", Outcome.READY))
    machine.wait(4.0)
    machine.tick()
    assert Phase.WARMING == machine.phases()["web3"]
    machine.wait(1.0)
    machine.tick()
    assert Phase.SERVING == machine.phases()["web3"]


def test_one_on_trial_is_probed_as_often_as_a_warming_one() -> None:
    machine = begun()
    machine.take(Probed(machine.now, "web3", Outcome.READY))
    machine.wait(5.0)
    machine.tick()
    watched = [one for taken in machine.steps for one in taken.effects if isinstance(one, Watch)][-1]
    assert [10.0, 10.0, 0.1] == [every_s for _, _, every_s in watched.targets]


def test_a_failed_start_ends_the_deploy_without_a_back_off() -> None:
    machine = serving(2)
    ordered(machine)
    machine.take(Resolved(machine.now, "shop:2", "7-1", PINNED, "spec2"))
    machine.publish()
    machine.take(StartFailed(machine.now, "web3", "it has exited", 3, ("boom",)))
    assert ["asked", "begun", "failed"] == deploys(machine)
    assert "web3: it has exited; exit code 3; last log lines: boom" in machine.reasons("shop:2")
    assert (0, 0.0) == (machine.state.start_failures, machine.state.start_after)
    assert machine.state.releases is not None
    assert (Release(SPEC), None) == (machine.state.releases.current, machine.state.releases.rollout)


def test_one_that_dies_tells_its_exit_code_and_last_words_when_it_is_removed() -> None:
    machine = begun()
    machine.take(Probed(machine.now, "web3", Outcome.READY))
    machine.take(Probed(machine.now, "web3", Outcome.REFUSED))
    machine.take(Probed(machine.now, "web3", Outcome.REFUSED))
    assert "failed" == deploys(machine)[-1]
    machine.publish()
    machine.take(Stopped(machine.now, "web3", ("boom",), 7))
    assert "stopped and removed; exit code 7; last log lines: boom" in machine.reasons("web3")


def test_one_that_serves_and_answers_badly_ends_the_deploy_and_drains_as_any_other() -> None:
    machine = begun()
    machine.take(Probed(machine.now, "web3", Outcome.READY))
    machine.wait(5.0)
    machine.look({"web1": 1, "web2": 1, "web3": 1})
    machine.publish()
    for _ in range(3):
        machine.take(Probed(machine.now, "web3", Outcome.BAD, "status 500"))
    assert "web3: 3 probes in a row: status 500" in machine.reasons("shop:2")
    machine.look({"web1": 1, "web2": 1, "web3": 1})
    machine.publish()
    assert Phase.DRAINING == machine.phases()["web3"]
    machine.wait(30.0)
    machine.look({"web1": 1, "web2": 1, "web3": 1})
    assert Phase.STOPPING == machine.phases()["web3"]


def test_what_is_in_force_already_is_done_at_once() -> None:
    machine = serving(2)
    ordered(machine)
    machine.take(Resolved(machine.now, "shop:2", "7-1", PINNED, SPEC))
    assert ["asked", "done"] == deploys(machine)
    assert machine.state.releases is not None
    assert Release(SPEC, "shop:2", PINNED) == machine.state.releases.current


def test_changed_settings_are_deployed_at_a_start_and_an_image_that_was_deployed_stays() -> None:
    deployed, before = Release("spec2", "shop:2", PINNED), Release("spec0", "shop:1")
    memory = Memory(snapshot(listed("web1", spec="spec2")), 1, desired=1, releases=Releases(deployed, None, before))
    for configured, wanted in (("shop:1", "shop:2"), ("shop:3", "shop:3")):
        machine = Machine(replace(policy(), image=configured))
        machine.elect()
        machine.adopt(found("web1", spec="spec2"), memory=memory)
        assert [Resolve(wanted, "")] == machine.emitted(Resolve)


def test_what_runs_without_being_in_force_is_replaced() -> None:
    machine, stored = Machine(), Releases(Release(SPEC), configured=Release(SPEC))
    machine.elect()
    backends = (listed("web1"), listed("web2", spec="spec2"))
    memory = Memory(snapshot(*backends), 2, desired=2, releases=stored)
    machine.adopt(found("web1"), found("web2", spec="spec2"), memory=memory)
    releases = machine.state.releases
    assert releases is not None
    assert Rollout(Release(SPEC), Release("spec2"), "", machine.now, proven=True, back=True) == releases.rollout
    assert Phase.STARTING is machine.state.instances["web3"].phase
    assert SPEC == machine.state.instances["web3"].spec


def two_releases() -> Machine:
    """What is in force cannot be started any longer, another release serves beside it; the way back goes on."""
    machine, stored = Machine(), Releases(Release(SPEC, "shop:1"), configured=Release(SPEC))
    backends = (listed("web1"), listed("web2", spec="spec2"))
    machine.lead(
        found("web1"), found("web2", spec="spec2"), memory=Memory(snapshot(*backends), 2, desired=2, releases=stored)
    )
    machine.take(StartFailed(machine.now, "web3", "image not found"))
    machine.publish()
    assert machine.state.releases is not None
    assert machine.state.releases.rollout is not None
    assert machine.state.releases.rollout.back
    return machine


@pytest.mark.parametrize(("image", "spec"), [("shop:3", "spec3"), ("shop:2", "spec2")])
def test_another_deploy_need_not_wait_for_a_way_back_that_may_never_end(image: str, spec: str) -> None:
    machine = two_releases()
    ordered(machine, image)
    assert [Resolve(image, "7-1")] == machine.emitted(Resolve)
    machine.take(Resolved(machine.now, image, "7-1", PINNED, spec))
    assert machine.state.releases is not None
    assert machine.state.releases.rollout is not None
    assert (Release(spec, image, PINNED), False) == (
        machine.state.releases.rollout.release,
        machine.state.releases.rollout.back,
    )


def test_a_canary_and_a_rollback_wait_for_a_way_back() -> None:
    for order in (Order(OrderKind.DEPLOY, image="shop:3", share=10, id="7-1"), Order(OrderKind.ROLLBACK, id="7-1")):
        machine = two_releases()
        machine.take(Ordered(machine.now, order))
        assert "a deploy is under way: shop:1" in [one for happening in machine.told() for one in happening.reasons]


def test_a_way_back_goes_on_where_the_deploy_that_was_to_overtake_it_cannot_be_had() -> None:
    machine = two_releases()
    ordered(machine, "shop:3")
    machine.take(Unresolved(machine.now, "shop:3", "7-1", "no such image"))
    assert machine.state.releases is not None
    assert machine.state.releases.rollout is not None
    assert machine.state.releases.rollout.back


def test_settings_that_did_not_change_deploy_nothing() -> None:
    deployed, configured = Release("spec2", "shop:2", PINNED), Release(SPEC)
    memory = Memory(snapshot(listed("web1", spec="spec2")), 1, desired=1, releases=Releases(deployed, None, configured))
    machine = Machine()
    machine.lead(found("web1", spec="spec2"), memory=memory)
    assert [] == deploys(machine)
    assert {"web1": "serving"} == machine.phases()


def test_changed_settings_need_no_rollout_where_nothing_runs() -> None:
    releases = Releases(Release("spec0"), None, Release("spec0"))
    machine = Machine()
    machine.lead(memory=Memory(snapshot(), 4, releases=releases))
    assert ["done"] == deploys(machine)
    assert [SPEC] == [instance.spec for instance in machine.instances.values()]


def test_what_is_drained_says_which_release_replaces_it_and_afterwards_only_how_many_are_desired() -> None:
    machine = begun()
    machine.take(Probed(machine.now, "web3", Outcome.READY))
    for _ in range(2):
        machine.wait(5.0)
        machine.look({"web1": 0, "web2": 1, "web3": 0})
        machine.publish()
    assert "shop:2 replaces spec1; 0 in flight" in machine.reasons("web1")
    plain = serving(2)
    plain.take(Ordered(plain.now, Order(OrderKind.SCALE, 1, id="8-1")))
    plain.look({"web1": 0, "web2": 0})
    assert "1 desired; 0 in flight" in plain.reasons("web2")


def test_an_end_of_the_fleet_ends_a_deploy() -> None:
    machine = begun()
    machine.take(Closed(machine.now))
    assert "failed" == deploys(machine)[-1]
    assert machine.state.releases is not None
    assert (Release(SPEC), None) == (machine.state.releases.current, machine.state.releases.rollout)


def test_without_a_surge_a_full_fleet_waits() -> None:
    machine = Machine(policy({"surge": 0}, max=2, min=2))
    machine.lead(found("web1"), found("web2"), memory=Memory(snapshot(listed("web1"), listed("web2")), 2, desired=2))
    ordered(machine)
    machine.take(Resolved(machine.now, "shop:2", "7-1", PINNED, "spec2"))
    machine.publish()
    assert {"web1": "serving", "web2": "serving"} == machine.phases()
