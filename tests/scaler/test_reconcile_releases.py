"""Who is ordered and who goes while there is more than one release: on its way, on trial, a canary."""

from __future__ import annotations

import pytest

from fleet.backend import Phase
from fleet.registry import Detail, Memory, Order, OrderKind, Sighting
from fleet.release import Canary, Release, Releases, Rollout
from scaler.messages import Ordered, StartFailed, Tick
from tests.scaler.builders import SPEC, Machine, found, listed, policy, reading, serving, snapshot

OLD, NEW = Release(SPEC), Release("spec2", "shop:2")
PROVEN = Releases(NEW, OLD, OLD, Rollout(NEW, OLD, proven=True))


def scaled(machine: Machine, count: int) -> None:
    machine.take(Ordered(machine.now, Order(OrderKind.SCALE, count, id="8-1")))


def taken_over(releases: Releases, desired: int, *groups: tuple[int, Release, Phase], **sizes: int) -> Machine:
    """A machine that has taken over so many of each release and phase, numbered in this order."""
    life = {"surge": sizes.pop("surge", 1)}
    kinds = [(release.spec, phase) for count, release, phase in groups for _ in range(count)]
    specs = {f"web{number}": kind for number, kind in enumerate(kinds, start=1)}
    listing = snapshot(*(listed(name, phase, spec=spec) for name, (spec, phase) in specs.items()))
    machine = Machine(policy(life, **sizes))
    there = [found(name, spec=spec) for name, (spec, _) in specs.items()]
    machine.lead(*there, memory=Memory(listing, len(specs), desired=desired, releases=releases))
    return machine


def leaving(machine: Machine) -> list[str]:
    return [name for name, phase in machine.phases().items() if phase == Phase.DRAINING]


@pytest.mark.parametrize(
    ("desired", "expected"),
    [(4, ["web5"]), (3, ["web4", "web5", "web8"]), (1, ["web4", "web5", "web6", "web7", "web8"]), (7, [])],
)
def test_what_does_not_serve_yet_goes_newest_first_and_the_outdated_helps_until_enough_serve(
    desired: int, expected: list[str]
) -> None:
    groups = [(1, NEW, Phase.SERVING), (2, OLD, Phase.SERVING), (2, OLD, Phase.WARMING), (3, NEW, Phase.WARMING)]
    assert expected == leaving(taken_over(PROVEN, desired, *groups))


def test_each_that_goes_during_a_rollout_says_whether_it_is_replaced_or_too_many() -> None:
    machine = taken_over(PROVEN, 2, (1, OLD, Phase.SERVING), (3, NEW, Phase.SERVING))
    machine.look(dict.fromkeys(machine.phases(), 0))
    assert ["shop:2 replaces spec1; 0 in flight"] == machine.reasons("web1")
    assert ["2 desired; 0 in flight"] == machine.reasons("web4")


def test_one_of_a_third_release_is_too_many_while_another_is_on_trial() -> None:
    third, trial = Release("spec3"), Releases(OLD, None, OLD, Rollout(NEW, OLD))
    machine = taken_over(trial, 1, (1, OLD, Phase.SERVING), (1, NEW, Phase.WARMING), (1, third, Phase.SERVING))
    machine.look(dict.fromkeys(machine.phases(), 0))
    assert ["1 desired; 0 in flight"] == machine.reasons("web3")


def test_a_rollout_without_a_surge_goes_on_where_there_is_room_below_the_maximum() -> None:
    machine = taken_over(PROVEN, 2, (1, OLD, Phase.SERVING), (1, NEW, Phase.SERVING), surge=0, max=4)
    assert ["web3"] == machine.started()


def test_one_on_trial_takes_the_place_of_another_where_there_is_no_more() -> None:
    trial = Releases(OLD, None, OLD, Rollout(NEW, OLD))
    machine = taken_over(trial, 1, (1, OLD, Phase.SERVING), (1, NEW, Phase.WARMING), surge=0, max=2)
    scaled(machine, 2)
    machine.tick()
    assert ["web1", "web2"] == list(machine.phases())


def test_a_way_back_waits_as_long_as_any_start_that_failed() -> None:
    back = Releases(OLD, NEW, OLD, Rollout(OLD, NEW, proven=True, back=True))
    machine = taken_over(back, 1, (1, NEW, Phase.SERVING))
    machine.take(StartFailed(machine.now, "web2", "no image"))
    machine.publish()
    machine.tick()
    assert ["web2"] == machine.started()


def test_a_canary_waits_for_room() -> None:
    canary = Releases(OLD, configured=OLD, canary=Canary(NEW, 10))
    machine = taken_over(canary, 5, (5, OLD, Phase.SERVING), surge=0, max=5)
    machine.tick(reading())
    machine.tick(silent=("p",))  # so that nothing is scaled down
    scaled(machine, 4)
    machine.tick(silent=("p",))
    assert ["serving"] * 5 == list(machine.phases().values())


def test_a_canary_is_neither_counted_nor_chosen_when_others_go() -> None:
    canary = Releases(OLD, configured=OLD, canary=Canary(NEW, 10))
    machine = taken_over(canary, 5, (5, OLD, Phase.SERVING), (1, NEW, Phase.SERVING))
    scaled(machine, 4)
    machine.look({**dict.fromkeys(machine.phases(), 1), "web6": 0})
    assert ["web5"] == leaving(machine)


def test_one_of_which_no_proxy_tells_is_as_idle_as_one_with_nothing_in_flight() -> None:
    machine = serving(2)
    scaled(machine, 1)
    machine.take(Tick(machine.now, Sighting((reading(),), detail=Detail({"web2": 0})), machine.now))
    assert ["web2"] == leaving(machine)
