"""A canary in the machine, where a scenario would not show it: the weights, what is told of it, late things."""

from __future__ import annotations

from fleet.registry import Detail, Memory, Order, OrderKind, Outcomes, Sighting
from fleet.release import Canary, Release, Releases
from scaler.messages import Deposed, Look, Ordered, Outcome, Publish, Resolved, Tick
from tests.scaler.builders import SPEC, Machine, found, listed, policy, probe, reading, snapshot

STABLE = ("web1", "web2", "web3", "web4", "web5")


def running(**more: object) -> Machine:
    """Five serve, and web6 of another release is tried on a tenth."""
    machine = Machine(policy(min=5, max=10))
    release = Release(SPEC)
    canary = Canary(Release("spec2", "v2"), 10, **more)  # type: ignore[arg-type]
    there = [found(name) for name in STABLE] + [found("web6", spec="spec2")]
    listing = snapshot(*(listed(name) for name in STABLE), listed("web6", spec="spec2", weight=56, canary=True))
    releases = Releases(release, configured=release, canary=canary)
    machine.lead(*there, memory=Memory(listing, 6, desired=5, releases=releases), ready=[one.name for one in there])
    return machine


def published(machine: Machine) -> dict[str, tuple[int, bool, bool]]:
    changes = [one.change for taken in machine.steps for one in taken.effects if isinstance(one, Publish)]
    return {name: (one.weight, one.canary, one.sticky) for name, one in changes[-1].backends.items()}


def test_a_taken_over_canary_keeps_its_share_and_is_marked() -> None:
    told = published(running(sticky=True))
    assert (56, True, True) == told["web6"]
    assert (100, False, False) == told["web1"]


def test_its_counters_are_read_at_every_tick_and_only_then() -> None:
    machine = running()
    taken = machine.tick(reading(generation=machine.generation))
    assert Look(outcomes=True) in taken.effects
    machine.take(Ordered(machine.now, Order(OrderKind.ABORT, id="9-1")))
    machine.publish()
    machine.wait(1)
    taken = machine.tick(reading(generation=machine.generation))
    assert not any(isinstance(one, Look) and one.outcomes for one in taken.effects)


def test_an_abort_drains_it_and_the_others_weigh_as_ever() -> None:
    machine = running()
    machine.take(Ordered(machine.now, Order(OrderKind.ABORT, id="9-1", reason="alert: Errors")))
    assert machine.phases()["web6"] == "draining"
    assert {(100, False, False)} == set(published(machine).values())


def carrying_all(largest: int, surge: int) -> Machine:
    """Four serve, all of them of the release that is tried on a tenth by a registry that came back with old data."""
    machine = Machine(policy({"surge": surge}, min=2, max=largest))
    canary = Canary(Release("spec2", "v2"), 10)
    there = [found(name, spec="spec2") for name in STABLE[:4]]
    listing = snapshot(*(listed(name, spec="spec2", canary=True) for name in STABLE[:4]))
    releases = Releases(Release(SPEC), configured=Release(SPEC), canary=canary)
    machine.lead(*there, memory=Memory(listing, 6, desired=4, releases=releases), ready=STABLE[:4])
    return machine


def test_canaries_that_carry_all_of_the_load_go_only_as_others_serve() -> None:
    machine = carrying_all(largest=10, surge=1)
    assert "draining" not in machine.phases().values()
    machine.start("web7")
    machine.ready("web7")
    drained = [name for name, phase in machine.phases().items() if phase == "draining"]
    assert (["web4"], 4) == (drained, list(machine.phases().values()).count("serving"))


def test_where_nothing_else_makes_room_for_a_start_one_canary_goes() -> None:
    machine = carrying_all(largest=4, surge=0)
    assert ["serving"] * 3 + ["draining"] == [machine.phases()[name] for name in STABLE[:4]]


def test_one_that_fails_its_probes_goes_once_the_minimum_serves_without_it() -> None:
    machine = running()
    probe(machine, "web1", Outcome.REFUSED, Outcome.REFUSED)
    probe(machine, "web6", *[Outcome.BAD] * 3)
    assert {"web1": "stopping", "web6": "serving", "web7": "starting"} == {
        name: phase for name, phase in machine.phases().items() if name not in STABLE[1:]
    }
    machine.start("web7")
    machine.ready("web7")
    assert "draining" == machine.phases()["web6"]
    assert "replaced: 3 probes in a row: status 500" in machine.reasons("web6")


def test_one_that_fails_its_probes_stays_as_the_last_that_serves() -> None:
    machine = running()
    machine.policy = policy(min=0, max=10)
    for name in STABLE:
        probe(machine, name, Outcome.REFUSED, Outcome.REFUSED)
    probe(machine, "web6", *[Outcome.BAD] * 3)
    assert "serving" == machine.phases()["web6"]


def test_an_alert_without_a_canary_is_a_note() -> None:
    machine = running()
    for number in (1, 2):
        taken = machine.take(Ordered(machine.now, Order(OrderKind.ABORT, id=f"9-{number}", reason="alert")))
    assert ("order 9-2: there is no canary",) == taken.notes


def test_an_abort_before_the_image_is_resolved_forgets_it() -> None:
    machine = Machine(policy(min=1))
    machine.lead()
    machine.take(Ordered(machine.now, Order(OrderKind.DEPLOY, id="9-1", image="v2", share=10)))
    machine.take(Ordered(machine.now, Order(OrderKind.ABORT, id="9-2")))
    machine.take(Resolved(machine.now, "v2", "9-1", "v2", "spec2"))
    assert machine.state.releases is not None
    assert (None, None) == (machine.state.releases.asked, machine.state.releases.canary)


def test_the_summary_tells_how_it_stands() -> None:
    machine = running()
    machine.tick(reading(generation=machine.generation))
    changes = [one.change for taken in machine.steps for one in taken.effects if isinstance(one, Publish)]
    standing = changes[-1].summary.canary
    assert standing is not None
    assert ("v2", 10, 10.1, 1) == (standing.release, standing.wanted, standing.share, standing.serving)


def test_a_scaler_that_lost_its_lease_for_a_moment_goes_on_with_what_it_saw() -> None:
    machine = running()
    detail = Detail(outcomes={"p": {"web6": Outcomes(5, 1, 50)}})
    machine.take(Tick(machine.now, Sighting((reading(generation=machine.generation),), detail=detail), machine.now))
    seen, releases = machine.state.trial, machine.state.releases
    assert {"p"} == set(seen.seen)
    machine.take(Deposed(machine.now, "the lease ran out"))
    there = [found(name) for name in STABLE] + [found("web6", spec="spec2")]
    listing = snapshot(*(listed(name) for name in STABLE), listed("web6", spec="spec2"), generation=machine.generation)
    machine.lead(*there, memory=Memory(listing, 6, desired=5, releases=releases), ready=[one.name for one in there])
    assert seen == machine.state.trial
