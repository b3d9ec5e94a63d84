"""From what runs to what should run: commands that need no reload, or the reasons for one. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from haproxy.commands import Command, Disable, Enable, SetAddress, SetWeight
from haproxy.model import Running, Slot, Target, Wanted, slot_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Commands:
    """Membership and weights, in the order to be sent: who comes, then who goes. `slots` are those that result."""

    commands: tuple[Command, ...]
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Reload:
    """Why commands are not enough, and the slots of the configuration to be loaded.

    `first` is what commands can do; it is done at once, so that traffic is right should the reload wait or fail.
    """

    reasons: tuple[str, ...]
    slots: tuple[Slot, ...]
    first: Commands


@dataclass(frozen=True, slots=True)
class Placed:
    """What commands can do; `left` are the targets for which no slot was free."""

    commands: tuple[Command, ...]
    slots: tuple[Slot, ...]
    left: tuple[Target, ...]


def plan(running: Running, wanted: Wanted) -> Commands | Reload:
    """What to do: commands, or commands and then a reload."""
    placed = place(running.slots, wanted.targets)
    reasons = _changed(running.marks, wanted.marks)
    if len(running.slots) < wanted.slots:
        reasons.append(f"the fleet's size needs {wanted.slots} slots, there are {len(running.slots)}")
    if placed.left:
        reasons.append(f"no free slot of {len(running.slots)} for {', '.join(one.name for one in placed.left[:3])}")
    commands = Commands(placed.commands, placed.slots)
    return Reload(tuple(reasons), _grown(placed, wanted.slots), commands) if reasons else commands


def place(slots: Sequence[Slot], targets: Sequence[Target]) -> Placed:
    """Put each target on a slot and take everything else out of service."""
    after = {slot.name: slot for slot in slots}
    unplaced, coming = [], []
    keeping: set[str] = set()
    # One backend may have two slots, after its address changed; one in service is preferred.
    known = {(slot.holder, slot.place): slot for slot in sorted(slots, key=lambda slot: slot.enabled)}
    nameless = {slot.place: slot for slot in slots if slot.holder is None and slot.enabled}
    for target in targets:
        slot = known.get((target.name, target.place)) or nameless.get(target.place)
        if slot is not None:
            keeping.add(slot.name)
            coming += _brought(slot, target)
            after[slot.name] = _holding(slot, target)
        else:
            unplaced.append(target)
    going = [slot for slot in slots if slot.enabled and slot.name not in keeping]
    free = [slot for slot in slots if not slot.enabled and slot.idle and slot.name not in keeping]
    for slot, target in zip(free, unplaced, strict=False):
        coming += _brought(slot, target)
        after[slot.name] = _holding(slot, target)
    for slot in going:
        after[slot.name] = replace(slot, enabled=False, idle=False)
    commands = (*coming, *(Disable(slot.name) for slot in going))
    return Placed(commands, tuple(after.values()), tuple(unplaced[len(free) :]))


def _brought(slot: Slot, target: Target) -> list[Command]:
    """Into service last: until then nothing is sent to a half-made slot."""
    commands: list[Command] = []
    if slot.place != target.place:
        commands.append(SetAddress(slot.name, target.address, target.port))
    if slot.weight != target.weight:
        commands.append(SetWeight(slot.name, target.weight))
    if not slot.enabled:
        commands.append(Enable(slot.name))
    return commands


def _holding(slot: Slot, target: Target) -> Slot:
    return Slot(slot.name, target.address, target.port, target.weight, enabled=True, holder=target.name, idle=False)


def _changed(running: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    if not running:
        return ["what runs was not rendered by Stoker"]
    return [f"the {name} section changed" for name, mark in wanted.items() if running.get(name) != mark]


def _grown(placed: Placed, least: int) -> tuple[Slot, ...]:
    """A new worker's slots: those out of service are free in it; where some were missing there are twice as many."""
    slots = [slot if slot.enabled else Slot(slot.name) for slot in placed.slots]
    free = [place for place, slot in enumerate(slots) if not slot.enabled]
    wanted = max(least, len(slots), 1)
    while wanted - len(slots) + len(free) < len(placed.left):
        wanted *= 2
    if placed.left:
        wanted = max(wanted, 2 * len(slots))
    free += range(len(slots), wanted)
    slots += [Slot(slot_name(number + 1)) for number in range(len(slots), wanted)]
    for index, target in zip(free, placed.left, strict=False):
        slots[index] = _holding(slots[index], target)
    return tuple(slots)
