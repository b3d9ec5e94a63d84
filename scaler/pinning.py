"""A release that comes from the settings names a tag: its image is pinned before anything of it runs.

Nothing of it starts until the answer is there. Where the image cannot be resolved its instances start by the tag, and
tell by their own failure what is wrong with it; once none of them is left the next start asks anew.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleet.backend import CAPACITY, Phase, instance_number
from fleet.release import Release
from scaler.messages import Resolve, Resolved

if TYPE_CHECKING:
    from scaler.messages import Unresolved
    from scaler.state import Instance
    from scaler.turn import Turn


def pin(turn: Turn) -> None:
    """Ask what the image stands for: once with the term, so that a first request need not wait, then for each start."""
    current, releases = turn.releases.current, turn.releases
    if current.pinned:
        turn.alarm("not-pinned", on=False, text="")
    unsettled = releases.rollout or releases.asked or releases.canary
    if turn.state.pinning or turn.state.closing or unsettled or not _by_tag(turn, current) or _begun(turn, current):
        return
    newest = max((_number(turn, one) for one in turn.instances.values() if _waits(one, current)), default=0)
    if newest > turn.state.pin_tried:
        turn.set(pinning=True)
        turn.effects.append(Resolve(current.image, ""))


def waits_for_pin(turn: Turn, instance: Instance) -> bool:
    """Whether it is not to be started yet."""
    return turn.state.pinning and _waits(instance, turn.releases.current)


def answers_pin(turn: Turn, event: Resolved | Unresolved) -> bool:
    """Whether that is what was asked for."""
    return turn.state.pinning and not event.order and event.image == turn.policy.image


def pinned(turn: Turn, event: Resolved | Unresolved) -> None:
    """Make the exact image the release in force, and its spec that of what waits to be started; or go on by the tag."""
    releases, former = turn.releases, turn.releases.current
    turn.set(pinning=False, pin_tried=turn.state.serial)
    turn.moved.append(f"{event.image} resolved")  # published, and then what waited is started
    if not isinstance(event, Resolved):
        turn.alarm("not-pinned", on=True, text=f"{event.image} runs by its tag: {event.reason}")
        return
    if releases.rollout is not None or not _by_tag(turn, former) or _begun(turn, former):
        turn.notes.append(f"{event.image} is not pinned: something of it runs, or is replaced")
        return
    release = Release(event.spec, event.image, event.pinned)
    turn.set(releases=replace(releases, current=release))
    for instance in list(turn.instances.values()):
        if _waits(instance, former):
            turn.put(replace(instance, spec=release.spec))
    turn.tell("release", release.name, "", "pinned", f"pinned as {release.pinned}", f"spec {release.spec}")


def _by_tag(turn: Turn, release: Release) -> bool:
    return bool(release.image) and release == turn.policy.configured


def _begun(turn: Turn, release: Release) -> bool:
    """Whether anything of it may run, by whatever the tag stood for then."""
    return any(
        one.spec == release.spec and one.phase in CAPACITY and not _waits(one, release)
        for one in turn.instances.values()
    )


def _waits(instance: Instance, release: Release) -> bool:
    return instance.spec == release.spec and instance.phase is Phase.STARTING and not instance.acted


def _number(turn: Turn, instance: Instance) -> int:
    return instance_number(turn.policy.app, instance.name) or 0
