"""The image of the settings is one image for all of its release, whatever becomes of the tag."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fleet.registry import Memory, Order, OrderKind
from fleet.release import Release, Releases
from scaler.messages import Closed, Deposed, Ordered, Resolve, Resolved, Start, Unresolved
from tests.scaler.builders import APP, SPEC, Machine, found, listed, policy, snapshot

PINNED = f"shop@sha256:{'0a' * 32}"
BY_TAG = Release(SPEC, "shop:1")
CURRENT = Release("spec-pinned", "shop:1", PINNED)


def led(**sizes: Any) -> Machine:
    """A machine of an image that has just taken over where nothing runs."""
    machine = Machine(replace(policy(**sizes), image="shop:1"))
    machine.elect()
    machine.adopt()
    return machine


def answered(machine: Machine) -> None:
    machine.take(Resolved(machine.now, "shop:1", "", PINNED, CURRENT.spec))
    machine.publish()


def placed(machine: Machine) -> list[tuple[str, str, str]]:
    return [
        (place.name, place.image, place.spec)
        for taken in machine.steps
        for one in taken.effects
        if isinstance(one, Start)
        for place in one.placements
    ]


def resolves(machine: Machine) -> int:
    return sum(isinstance(one, Resolve) for taken in machine.steps for one in taken.effects)


def running(count: int) -> Machine:
    machine = led(min=count)
    machine.publish()
    answered(machine)
    names = [f"{APP}{number + 1}" for number in range(count)]
    machine.start(*names)
    machine.ready(*names)
    return machine


def test_nothing_starts_before_the_image_is_pinned_and_then_all_of_it_by_the_pin() -> None:
    machine = led(min=2)
    assert [Resolve("shop:1", "")] == machine.emitted(Resolve)
    machine.publish()
    assert [] == placed(machine)
    answered(machine)
    assert [("web1", PINNED, "spec-pinned"), ("web2", PINNED, "spec-pinned")] == placed(machine)
    assert machine.state.releases == Releases(CURRENT, configured=BY_TAG)


def test_the_image_is_resolved_with_the_term_so_that_a_first_request_does_not_wait_for_it() -> None:
    machine = led(min=0)
    machine.publish()
    machine.rps(0, 1)
    machine.rps(0, 1)
    assert 1 == resolves(machine)
    machine.take(Resolved(machine.now, "shop:1", "", PINNED, CURRENT.spec))
    assert machine.state.releases == Releases(CURRENT, configured=BY_TAG)


def test_an_image_that_cannot_be_resolved_starts_by_its_tag_and_is_told_once() -> None:
    machine = led(min=1)
    machine.publish()
    machine.take(Unresolved(machine.now, "shop:1", "", "no engine"))
    machine.publish()
    assert [("web1", "shop:1", SPEC)] == placed(machine)
    assert ["shop:1 runs by its tag: no engine"] == machine.reasons("not-pinned")
    machine.start("web1")
    machine.ready("web1")
    machine.rps(0, 3)
    assert 1 == resolves(machine)


def test_what_runs_by_its_tag_from_before_is_adopted_and_stays_as_it_is() -> None:
    machine = Machine(replace(policy(), image="shop:1"))
    memory = Memory(snapshot(listed("web1")), 1, desired=1, releases=Releases(BY_TAG, configured=BY_TAG))
    machine.lead(found("web1"), memory=memory)
    machine.rps(15, 30)
    assert 0 == resolves(machine)
    assert ("web2", "shop:1", SPEC) in placed(machine)
    assert "serving" == machine.phases()["web1"]


def test_a_deploy_of_the_same_image_replaces_nothing_and_of_a_moved_tag_everything() -> None:
    machine = running(2)
    for order, pinned, spec in (("7-1", PINNED, CURRENT.spec), ("8-1", f"shop@sha256:{'0b' * 32}", "spec-moved")):
        machine.take(Ordered(machine.now, Order(OrderKind.DEPLOY, id=order, image="shop:1")))
        machine.take(Resolved(machine.now, "shop:1", order, pinned, spec))
        machine.publish()
        releases = machine.state.releases
        assert releases is not None
        assert (order == "8-1") is (releases.rollout is not None)
    assert "spec-pinned is in force already" in machine.reasons("shop:1")


def test_an_answer_from_before_a_term_pins_nothing() -> None:
    machine = led(min=1)
    machine.publish()
    machine.take(Deposed(machine.now, "taken"))
    machine.take(Resolved(machine.now, "shop:1", "", PINNED, CURRENT.spec))
    assert machine.state.releases == Releases(BY_TAG, configured=BY_TAG)
    assert ("late: an answer about shop:1",) == machine.last.notes


def test_a_fleet_without_a_deploy_that_is_ended_begins_anew_from_its_tag() -> None:
    machine = running(1)
    machine.take(Closed(machine.now))
    machine.look({"web1": 0})
    machine.publish()
    machine.look({"web1": 0})
    machine.publish()
    machine.stop("web1")
    assert {} == machine.phases()
    assert machine.state.releases == Releases(BY_TAG, configured=BY_TAG)
