"""From what runs to what should run: a table of fleets, and what holds for every one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy.commands import Disable, Enable, SetAddress, SetWeight
from haproxy.model import Running, Slot, Target, Wanted
from haproxy.plan import Commands, Reload, plan

MARKS = {"global": "a", "frontend": "b"}


def on(number: int, holder: str | None, port: int, weight: int = 100) -> Slot:
    return Slot(f"s{number}", "10.0.0.1", port, weight, enabled=True, holder=holder, idle=False)


def leaving(number: int, holder: str, port: int) -> Slot:
    return Slot(f"s{number}", "10.0.0.1", port, holder=holder, idle=False)


def free(number: int, holder: str | None = None, port: int | None = None) -> Slot:
    return Slot(f"s{number}", holder=holder) if port is None else Slot(f"s{number}", "10.0.0.1", port, holder=holder)


def target(name: str, port: int, weight: int = 100) -> Target:
    return Target(name, "10.0.0.1", port, weight)


@pytest.mark.parametrize(
    ("slots", "targets", "expected"),
    [
        pytest.param([on(1, "a", 1)], [target("a", 1)], [], id="as it should be"),
        pytest.param(
            [on(1, "a", 1), free(2)],
            [target("a", 1), target("b", 2)],
            [SetAddress("s2", "10.0.0.1", 2), Enable("s2")],
            id="one comes: its address before its service",
        ),
        pytest.param([on(1, "a", 1), on(2, "b", 2)], [target("b", 2)], [Disable("s1")], id="one goes"),
        pytest.param(
            [on(1, "a", 1), free(2)],
            [target("b", 2)],
            [SetAddress("s2", "10.0.0.1", 2), Enable("s2"), Disable("s1")],
            id="who comes is there before who goes has gone",
        ),
        pytest.param([on(1, "a", 1)], [target("a", 1, 7)], [SetWeight("s1", 7)], id="another weight"),
        pytest.param(
            [leaving(1, "a", 1), free(2)],
            [target("a", 1)],
            [Enable("s1")],
            id="the same one back takes its own slot, although it is not idle",
        ),
        pytest.param(
            [leaving(1, "a", 1), free(2)],
            [target("b", 1)],
            [SetAddress("s2", "10.0.0.1", 1), Enable("s2")],
            id="another one at a leaving one's address takes another slot",
        ),
        pytest.param(
            [free(1, "a", 1)],
            [target("b", 1)],
            [Enable("s1")],
            id="a free slot that already has the address only goes into service",
        ),
        pytest.param(
            [on(1, "a", 1), free(2)],
            [target("a", 3)],
            [SetAddress("s2", "10.0.0.1", 3), Enable("s2"), Disable("s1")],
            id="another address is another slot",
        ),
        pytest.param([on(1, None, 1)], [target("a", 1)], [], id="a slot without a known holder is told by its address"),
        pytest.param([on(1, None, 9)], [], [Disable("s1")], id="what nobody knows gets nothing"),
        pytest.param([on(1, "a", 1)], [], [Disable("s1")], id="to none"),
    ],
)
def test_membership_needs_commands_only(slots: list[Slot], targets: list[Target], expected: list[object]) -> None:
    decision = plan(Running(MARKS, tuple(slots)), Wanted(MARKS, 1, tuple(targets)))
    assert isinstance(decision, Commands)
    assert tuple(expected) == decision.commands


def test_a_slot_that_was_just_left_is_not_used_again() -> None:
    running = Running(MARKS, (on(1, "a", 1), leaving(2, "b", 2)))
    decision = plan(running, Wanted(MARKS, 2, (target("c", 3),)))
    assert isinstance(decision, Reload)
    assert ("no free slot of 2 for c",) == decision.reasons
    assert (Disable("s1"),) == decision.first.commands
    assert ["s1", "s2", "s3", "s4"] == [slot.name for slot in decision.slots]
    assert ["c"] == [slot.holder for slot in decision.slots if slot.enabled]


@pytest.mark.parametrize(
    ("running", "wanted", "reasons"),
    [
        ({"global": "a", "frontend": "x"}, 1, ("the frontend section changed",)),
        ({"global": "x", "frontend": "x"}, 1, ("the global section changed", "the frontend section changed")),
        ({}, 1, ("what runs was not rendered by Stoker",)),
        (MARKS, 4, ("the fleet's size needs 4 slots, there are 1",)),
    ],
)
def test_every_reload_has_its_reasons(running: dict[str, str], wanted: int, reasons: tuple[str, ...]) -> None:
    decision = plan(Running(running, (on(1, "a", 1),)), Wanted(MARKS, wanted, (target("a", 1),)))
    assert isinstance(decision, Reload)
    assert reasons == decision.reasons
    assert max(1, wanted) == len(decision.slots)


def test_slots_double_so_that_reloads_are_few() -> None:
    slots = tuple(on(number, f"a{'x' * number}", number) for number in range(1, 17))
    targets = (*(target(slot.holder or "", slot.port) for slot in slots), target("new", 99))
    decision = plan(Running(MARKS, slots), Wanted(MARKS, 16, targets))
    assert isinstance(decision, Reload)
    assert 32 == len(decision.slots)


slot_lists = st.lists(
    st.tuples(st.sampled_from([None, *"abcdef"]), st.integers(1, 6), st.booleans(), st.booleans()), max_size=8
).map(
    lambda rows: tuple(
        Slot(f"s{number}", "10.0.0.1", port, enabled=enabled, holder=holder, idle=idle and not enabled)
        for number, (holder, port, enabled, idle) in enumerate(rows, 1)
    )
)
target_lists = st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(1, 6), st.integers(0, 256))).map(
    lambda rows: tuple({port: target(name, port, weight) for name, (port, weight) in rows.items()}.values())
)


@given(slot_lists, target_lists)
def test_afterwards_exactly_the_targets_get_requests_or_a_reload_says_why(
    slots: tuple[Slot, ...], targets: tuple[Target, ...]
) -> None:
    decision = plan(Running(MARKS, slots), Wanted(MARKS, 0, targets))
    live = {(slot.holder, slot.place, slot.weight) for slot in decision.slots if slot.enabled}
    assert {(one.name, one.place, one.weight) for one in targets} == live
    assert len(targets) == sum(slot.enabled for slot in decision.slots)


@given(slot_lists, target_lists)
def test_a_second_plan_after_the_first_finds_nothing_to_do(
    slots: tuple[Slot, ...], targets: tuple[Target, ...]
) -> None:
    first = plan(Running(MARKS, slots), Wanted(MARKS, 0, targets))
    second = plan(Running(MARKS, first.slots), Wanted(MARKS, 0, targets))
    assert Commands((), first.slots) == second


@given(slot_lists, target_lists)
def test_no_slot_with_requests_under_way_is_given_to_another(
    slots: tuple[Slot, ...], targets: tuple[Target, ...]
) -> None:
    decision = plan(Running(MARKS, slots), Wanted(MARKS, 0, targets))
    first = decision if isinstance(decision, Commands) else decision.first
    busy = {slot.name: slot for slot in slots if not slot.idle and slot.holder}
    assert {name: slot.holder for name, slot in busy.items()} == {
        slot.name: slot.holder for slot in first.slots if slot.name in busy
    }
