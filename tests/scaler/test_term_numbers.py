"""What the start of a term does not know: numbers that are left out, hosts that are silent, a fleet nobody tells of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fleet.backend import Phase
from scaler.messages import Deposed
from tests.scaler.builders import EMPTY, Machine, found, policy, reading, remembered, serving

if TYPE_CHECKING:
    from fleet.registry import Memory

BOTH = ("local", "b")


def behind(token: int, memory: Memory, elapsed_s: float) -> int:
    """The last number after a take-over by one that published at 50 s by the server, so long ago by its own clock."""
    machine = Machine(policy(min=0))
    machine.tick(reading(generation=100_000))
    machine.state = replace(machine.state, generation=50_000, generation_at=machine.now - elapsed_s, serial=9)
    machine.elect(token=token)
    machine.adopt(memory=memory)
    return machine.state.serial


@pytest.mark.parametrize(
    ("token", "elapsed_s", "expected"),
    [
        (50_001, 0.0, 1000),
        (50_001, 1.999, 1000),
        (50_001, 2.0, 2000),
        (50_001, 10.0, 6000),
        (59_999, 2.0, 5000),
        (60_000, 2.0, 6000),
    ],
)
def test_numbers_are_left_out_for_every_half_lease_by_the_slower_of_two_clocks(
    token: int, elapsed_s: float, expected: int
) -> None:
    assert 9 + expected == behind(token, EMPTY, elapsed_s)


def test_a_newer_registry_is_where_the_time_begins_and_our_clock_then_says_nothing() -> None:
    assert 9 + 3000 == behind(64_000, remembered(generation=60_000), 100.0)


def test_who_knows_nothing_reckons_from_the_days_begin() -> None:
    machine = Machine(policy(min=0))
    machine.tick(reading(generation=5))
    machine.elect(token=10 * 86_400_000 + 4000)
    machine.adopt(memory=EMPTY)
    assert 3000 == machine.state.serial


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
