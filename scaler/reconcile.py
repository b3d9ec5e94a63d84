"""From what is desired to which instance starts, which goes, and when a drain is over."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from fleet.backend import ORDERED, Phase, instance_name, instance_number
from scaler.messages import Effect, Placement, Start, Stop
from scaler.sizing import missing
from scaler.state import Instance
from scaler.transitions import Signal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet.registry import Sighting
    from scaler.turn import Turn


def reconcile(turn: Turn, loads: Mapping[str, int] | None = None) -> None:
    """Order what is short, let go what is too much. `loads` is what is in flight by backend, if that was read."""
    goal = turn.state.desired
    limit = max(turn.policy.sizes.max, goal)
    if _replacing(turn):
        goal, limit = goal + 1, limit + turn.policy.life.surge
    capacity = turn.tally.capacity
    if capacity < goal:
        _order(turn, min(goal, limit) - capacity)
    elif capacity > turn.state.desired:
        _let_go(turn, loads)


def _replacing(turn: Turn) -> bool:
    """Whether one failing instance is to be replaced: never the last, and none while more than half fail."""
    serving, doubtful = turn.tally.serving, turn.tally.doubtful
    failing = doubtful > 0 and any(
        instance.phase is Phase.SERVING and not _healthy(turn, instance) for instance in turn.instances.values()
    )
    widespread = doubtful * 2 > serving
    turn.alarm(
        "widespread-failure",
        on=failing and widespread,
        text=f"{doubtful} of {serving} serving fail their probes: replacing none",
    )
    return failing and not widespread


def _order(turn: Turn, count: int) -> None:
    hosts = turn.state.hosts
    turn.alarm("no-host", on=not hosts, text="nothing can be started: no host was ever found; see the census' fault")
    if not hosts or turn.now < turn.state.start_after:
        return
    for _ in range(count):
        serial = turn.state.serial + 1
        turn.set(serial=serial)
        name = instance_name(turn.policy.app, serial)
        turn.enter(
            Instance(
                name,
                Phase.STARTING,
                _roomiest_host(turn),
                turn.policy.spec,
                since=turn.now,
                deadline=None,
                version=0,
                born=turn.now,
            ),
            Phase.STARTING,
            f"{turn.state.desired} desired",
        )


def _roomiest_host(turn: Turn) -> str:
    """The host with the fewest instances, ordered and leaving ones counted; the first by name among equals."""
    taken = dict.fromkeys(turn.state.hosts, 0)
    for instance in turn.instances.values():
        if instance.host in taken:
            taken[instance.host] += 1
    return min(taken, key=lambda host: (taken[host], host))


def _let_go(turn: Turn, loads: Mapping[str, int] | None) -> None:
    """Cancel what does not serve yet and is not needed, newest first; then drain, the least busy first."""
    desired, tally = turn.state.desired, turn.tally
    healthy = sum(1 for instance in turn.instances.values() if _healthy(turn, instance))
    spare = tally.ordered - max(0, desired - healthy)
    waiting = (instance for instance in turn.instances.values() if instance.phase in ORDERED)
    for instance in sorted(waiting, key=partial(_number, turn), reverse=True)[: max(0, spare)]:
        signal = Signal.RELEASED if instance.unlisted else Signal.CANCELLED
        turn.move(instance.name, signal, f"{desired} desired, not needed any longer")
    excess = tally.serving - max(desired, 0 if turn.state.closing else turn.minimum.count)
    if excess <= 0 or (missing(turn) and not turn.state.closing):
        return
    if loads is None:
        turn.look = True
        return
    for instance in _victims(turn, loads)[:excess]:
        turn.move(instance.name, Signal.RELEASED, f"{desired} desired; {loads.get(instance.name, 0)} in flight")


def _number(turn: Turn, instance: Instance) -> int:
    return instance_number(turn.policy.app, instance.name) or 0


def _healthy(turn: Turn, instance: Instance) -> bool:
    return instance.phase is Phase.SERVING and instance.misses < turn.policy.life.probe_failures


def _victims(turn: Turn, loads: Mapping[str, int]) -> list[Instance]:
    """Serving instances in the order in which they go: failing, of an older spec, least busy, newest."""
    return sorted(
        (instance for instance in turn.instances.values() if instance.phase is Phase.SERVING),
        key=lambda instance: (
            _healthy(turn, instance),
            instance.spec == turn.policy.spec,
            loads.get(instance.name, 0),
            -_number(turn, instance),
        ),
    )


def finish_drains(turn: Turn, sighting: Sighting) -> None:
    """Stop what has drained: every live proxy has applied it, none is missing, and nothing is in flight on it."""
    draining = [instance for instance in turn.instances.values() if instance.phase is Phase.DRAINING]
    if not draining or missing(turn):
        return
    busy = {name for reading in sighting.readings for name, count in reading.leaving.items() if count}
    for instance in draining:
        if instance.name not in busy and turn.applied([instance]):
            turn.move(instance.name, Signal.EMPTY, "nothing in flight on any proxy")


def acts(turn: Turn) -> None:
    """Emit what the published phases call for; each act once."""
    placements, stops = [], list[Effect]()
    for instance in list(turn.instances.values()):
        if instance.acted:
            continue
        match instance.phase:
            case Phase.STARTING:
                placements.append(Placement(instance.name, instance.host, instance.spec))
            case Phase.STOPPING:
                stops.append(Stop(instance.name, instance.host, turn.policy.life.stop_grace_s))
            case Phase.FAILED:
                stops.append(Stop(instance.name, instance.host, 0.0))
            case Phase.WARMING | Phase.SERVING | Phase.DRAINING | Phase.GONE:
                continue
        turn.put(replace(instance, acted=True))
    turn.effects.extend(stops)
    if placements:
        turn.effects.append(Start(tuple(placements)))
