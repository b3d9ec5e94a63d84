"""What a scrape tells of a canary, from steps of the real machine."""

from __future__ import annotations

import pytest

from fleet.registry import Detail, Memory, Order, OrderKind, Outcomes, Sighting
from fleet.release import Canary, Release, Releases
from scaler.messages import Ordered, Tick
from tests.scaler.builders import SPEC, found, listed, policy, reading, snapshot
from tests.scaler.watched import Watched

STABLE = ("web1", "web2", "web3", "web4", "web5")


def running() -> Watched:
    """Five serve, and web6 of another release is tried on a tenth."""
    machine = Watched(policy(min=5, max=10))
    release = Release(SPEC)
    releases = Releases(release, configured=release, canary=Canary(Release("spec2", "v2"), 10))
    there = [found(name) for name in STABLE] + [found("web6", spec="spec2")]
    listing = snapshot(*(listed(name) for name in STABLE), listed("web6", spec="spec2", weight=56, canary=True))
    machine.lead(*there, memory=Memory(listing, 6, desired=5, releases=releases), ready=[one.name for one in there])
    return machine


def look(machine: Watched, ours: Outcomes, theirs: Outcomes) -> None:
    """One look at a proxy that tells this of both sets."""
    machine.wait(1.0)
    detail = Detail(outcomes={"p": {"web6": ours, "web1": theirs}})
    sighting = Sighting((reading(generation=machine.generation),), detail=detail)
    machine.take(Tick(machine.now, sighting, machine.now))


def state(machine: Watched) -> list[str]:
    names = ("none", "resolving", "starting", "serving", "warm")
    return [name for name in names if machine.value("stoker_canary_state", state=name)]


def test_its_share_and_what_became_of_both_sets_are_told() -> None:
    machine = running()
    look(machine, Outcomes(), Outcomes())
    look(machine, Outcomes(10, 1, 500), Outcomes(90, 0, 900))
    assert ["serving"] == state(machine)
    assert machine.value("stoker_canary_share_ordered_ratio") == 0.1
    assert machine.value("stoker_canary_share_ratio") == pytest.approx(0.101)
    assert machine.value("stoker_canary_instances_serving") == 1
    assert machine.value("stoker_canary_instances_failed_total") == 0
    assert machine.value("stoker_canary_requests_total", set="canary") == 10
    assert machine.value("stoker_canary_requests_total", set="stable") == 90
    assert machine.value("stoker_canary_errors_total", set="canary") == 1
    assert machine.value("stoker_canary_request_mean_seconds", set="canary") == 0.05
    assert machine.value("stoker_canary_request_mean_seconds", set="stable") == 0.01
    assert 0 < (machine.value("stoker_canary_evidence_ratio", test="errors") or 0) < 1
    machine.wait(40.0)
    look(machine, Outcomes(10, 1, 500), Outcomes(90, 0, 900))
    assert ["warm"] == state(machine)


def test_its_series_end_with_it_and_the_end_is_counted() -> None:
    machine = running()
    assert machine.value("stoker_canaries_total", outcome="cut") == 0
    machine.take(Ordered(machine.now, Order(OrderKind.ABORT, id="9-1")))
    assert ["none"] == state(machine)
    assert machine.value("stoker_canary_share_ratio") is None
    assert machine.value("stoker_canaries_total", outcome="cut") == 1
    machine.publish()
    machine.take(Ordered(machine.now, Order(OrderKind.DEPLOY, id="9-2", image="v3", share=10)))
    assert ["resolving"] == state(machine)
    machine.take(Ordered(machine.now, Order(OrderKind.DEPLOY, id="9-3", image="v4")))
    assert machine.value("stoker_deploys_total", outcome="refused") == 1
    assert machine.value("stoker_deploys_total", outcome="done") == 0
