"""What the start of a term does not know: numbers that are left out, hosts that are silent, a fleet nobody tells of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.backend import Phase
from fleet.registry import Memory
from fleet.release import Release, Releases, Rollout
from scaler.messages import Deposed
from tests.scaler.builders import EMPTY, Machine, found, listed, policy, reading, remembered, serving, snapshot

BOTH = ("local", "b")


def behind(token: int, memory: Memory, elapsed_s: float = 0.0, settled_in_s: float = 0.0) -> int:
    """The last number after a take-over by one that published when the server's time was 50,000 s, so long ago."""
    machine = Machine(policy(min=0))
    machine.tick(reading(generation=100_000_000))
    machine.state = replace(machine.state, generation=50_000_000, generation_at=machine.now - elapsed_s, serial=9)
    machine.elect(token=token, settled_in_s=settled_in_s)
    machine.wait(settled_in_s)
    machine.adopt(memory=memory)
    return machine.state.serial


@pytest.mark.parametrize(
    ("token", "elapsed_s", "expected"),
    [
        (100_000_009, 0.0, 10_000_000),
        (100_000_010, 0.0, 10_000_001),
        (50_000_001, 0.0, 10_000_000),
        (50_000_001, 50_000.009, 10_000_000),
        (50_000_001, 50_000.010, 10_000_001),
    ],
)
def test_who_does_not_know_all_goes_on_above_the_latest_of_token_proxies_and_its_own_clock(
    token: int, elapsed_s: float, expected: int
) -> None:
    assert expected == behind(token, EMPTY, elapsed_s)
    assert expected == behind(token, remembered(generation=60_000_000), elapsed_s)


def test_terms_do_not_meet_in_what_they_leave_out_whatever_they_remember() -> None:
    machine = Machine(policy(min=0))
    machine.tick(reading(generation=5))
    machine.elect(token=200_000_000)
    machine.adopt(memory=EMPTY)
    assert 20_000_000 == machine.state.serial == behind(200_000_000, EMPTY)


def test_who_waits_for_an_earlier_holder_leaves_out_what_that_one_may_give_out_meanwhile() -> None:
    assert 400 == behind(200_000_000, EMPTY, settled_in_s=4.0) - behind(200_000_000, EMPTY)


def test_some_numbers_are_left_out_though_the_clocks_went_back() -> None:
    machine = Machine(policy(min=0))
    machine.tick(reading(generation=5))
    machine.elect(token=6)
    machine.adopt(memory=Memory(snapshot(generation=4), serial=70))
    assert 1070 == machine.state.serial


def test_no_number_is_left_out_where_the_registry_tells_everything_though_a_host_is_silent() -> None:
    machine = Machine()
    machine.elect()
    machine.adopt(found("web1"), memory=remembered("web1"), hosts=BOTH, answered=("local",))
    assert (9, ("local",)) == (machine.state.serial, machine.state.hosts)


def test_numbers_are_left_out_where_only_a_silent_host_could_tell_them() -> None:
    machine = Machine(policy(min=0))
    machine.elect()
    machine.adopt(memory=EMPTY, hosts=BOTH, answered=("local",))
    assert 1000 == machine.state.serial


def test_numbers_are_left_out_where_the_registry_was_read_in_part_and_a_host_is_silent() -> None:
    machine = serving(1)
    machine.take(Deposed(machine.now, "the lease ran out or was taken"))
    machine.elect(token=2)
    partly = replace(snapshot(listed("web1"), generation=machine.generation), faults=("web2: not JSON",))
    machine.adopt(found("web1"), memory=Memory(partly, serial=1, desired=1), hosts=BOTH, answered=("local",))
    assert 1001 == machine.state.serial


def test_an_empty_memory_is_not_enough_where_no_host_answers() -> None:
    machine = Machine(policy(min=0))
    machine.lead()
    machine.tick(reading(generation=machine.generation))
    machine.take(Deposed(machine.now, "wiped"))
    machine.elect(token=2)
    machine.adopt(memory=EMPTY, answered=())
    assert not machine.state.adopted


def test_our_own_memory_is_enough_where_the_store_is_empty_and_no_host_answers() -> None:
    machine = serving(1)
    machine.tick(reading(generation=machine.generation))
    machine.take(Deposed(machine.now, "wiped"))
    machine.elect(token=2)
    machine.adopt(memory=EMPTY, hosts=BOTH, answered=())
    assert (True, 1, ("b", "local")) == (machine.state.adopted, machine.state.serial, machine.state.hosts)


def test_a_stored_registry_is_enough_where_no_host_answers() -> None:
    machine = Machine()
    machine.elect()
    machine.tick(reading(generation=5))
    machine.adopt(memory=remembered("web1"), answered=())
    assert (True, {"web1": "serving"}) == (machine.state.adopted, machine.phases())


def test_a_memory_that_others_have_acted_after_is_not_enough() -> None:
    machine = serving(1)
    machine.take(Deposed(machine.now, "wiped"))
    machine.tick(reading(generation=99))
    machine.elect(token=2)
    machine.adopt(memory=EMPTY, answered=())
    assert not machine.state.adopted
    assert ("no host answers and nothing is stored, but proxies serve: surveying again",) == machine.last.notes


def test_what_a_whole_registry_lists_is_listed() -> None:
    machine = Machine()
    machine.elect()
    machine.adopt(found("web1"), memory=remembered("web1"))
    assert not machine.instances["web1"].unlisted


def test_what_an_old_registry_calls_stopping_and_does_not_run_need_not_drain() -> None:
    machine = Machine()
    machine.tick(reading(generation=9))
    machine.elect()
    machine.adopt(found("web1", running=False), memory=remembered(web1=Phase.STOPPING))
    assert "stopping" == machine.phases()["web1"]


@pytest.mark.parametrize(("settled_in_s", "missed"), [(0.0, False), (4.0, True)])
def test_proxies_that_vanished_are_missed_where_the_store_may_have_been_lost_before_the_lease(
    settled_in_s: float, missed: bool
) -> None:
    machine = serving(1)
    machine.tick(reading("h"), reading("m"))
    machine.tick(reading("m"))
    machine.take(Deposed(machine.now, "the lease ran out or was taken"))
    machine.elect(token=2, settled_in_s=settled_in_s)
    machine.wait(settled_in_s)
    machine.tick(reading("m"))
    machine.adopt(found("web1"), memory=remembered("web1", generation=machine.generation))
    assert missed == ("h" in machine.state.proxies)


CONFIGURED = Release("spec1")
OURS = Releases(Release("spec2", "shop:2"), configured=CONFIGURED)
THEIRS = Releases(Release("spec3", "shop:3"), configured=CONFIGURED)


@pytest.mark.parametrize(
    ("generation", "own", "stored", "expected"),
    [
        (10, OURS, THEIRS, OURS),
        (10, None, THEIRS, THEIRS),
        (12, OURS, THEIRS, THEIRS),
        (12, OURS, None, OURS),
    ],
)
def test_of_two_memories_of_releases_the_newer_wins_and_any_is_better_than_none(
    generation: int, own: Releases | None, stored: Releases | None, expected: Releases
) -> None:
    machine = Machine(policy(min=0))
    machine.state = replace(machine.state, generation=11, releases=own)
    machine.elect()
    machine.adopt(memory=Memory(snapshot(generation=generation), releases=stored))
    assert machine.state.releases is not None
    assert expected.current == machine.state.releases.current


@pytest.mark.parametrize(("phase", "ending"), [(Phase.SERVING, "failed"), (Phase.DRAINING, "begun")])
def test_a_deploy_whose_instance_has_ended_meanwhile_has_failed(phase: Phase, ending: str) -> None:
    releases = Releases(CONFIGURED, configured=CONFIGURED, rollout=Rollout(OURS.current, CONFIGURED))
    listing = snapshot(listed("web1"), listed("web2", phase, spec="spec2"))
    machine = Machine()
    machine.lead(
        found("web1"),
        found("web2", spec="spec2", running=False, exit_code=1),
        memory=Memory(listing, serial=2, desired=1, releases=releases),
    )
    assert machine.state.releases is not None
    assert (ending == "begun") == (machine.state.releases.rollout is not None)
