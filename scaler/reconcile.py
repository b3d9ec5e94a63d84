"""From what is desired to which instance starts, which goes, and when a drain is over."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from fleet.backend import CAPACITY, ORDERED, Phase, instance_name, instance_number
from scaler.canary import missing_canaries, share_out
from scaler.messages import Effect, Placement, Start, Stop
from scaler.pinning import pin, waits_for_pin
from scaler.rollout import advance, aside, rolling
from scaler.sizing import missing, unsure
from scaler.state import Instance
from scaler.transitions import Signal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fleet.registry import Sighting
    from fleet.release import Release
    from scaler.turn import Turn


def reconcile(turn: Turn, loads: Mapping[str, int] | None = None) -> None:
    """Order what is short, let go what is too much. `loads` is what is in flight by backend, if that was read.

    What is on trial comes on top of `desired`; everything together stays within max and surge.
    """
    advance(turn)
    tried = aside(turn)
    if _capacity(turn, tried) > turn.state.desired:
        _let_go(turn, tried, loads)
    surge, desired = turn.policy.life.surge, turn.state.desired
    limit = max(turn.policy.sizes.max, desired)
    most, goal = limit + surge, desired
    if rolling(turn):
        fresh = sum(instance.spec == turn.releases.current.spec for instance in _counting(turn))
        goal, limit = min(desired + max(1, surge), turn.tally.capacity + desired - fresh), most
    elif _replacing(turn, tried):
        goal, limit = goal + 1, most
    there = turn.tally.capacity
    _order(turn, min(min(goal, limit) - _capacity(turn, tried), most - there), turn.releases.current)
    if tried and turn.tally.capacity < most:
        _try(turn)
    for _ in range(min(missing_canaries(turn, most), most - turn.tally.capacity)):
        _try_canary(turn)
    pin(turn)
    share_out(turn)


def _counting(turn: Turn) -> Iterable[Instance]:
    return (instance for instance in turn.instances.values() if instance.phase in CAPACITY)


def _capacity(turn: Turn, tried: frozenset[str]) -> int:
    """What counts against max, without what is on trial."""
    return sum(instance.spec not in tried for instance in _counting(turn)) if tried else turn.tally.capacity


def _try(turn: Turn) -> None:
    """Have one instance of the release on trial; a back-off of the others does not hold it."""
    rollout = turn.releases.rollout
    if rollout is not None and not any(instance.spec == rollout.release.spec for instance in _counting(turn)):
        _enter(turn, rollout.release, f"on trial: {rollout.release.name}")


def _try_canary(turn: Turn) -> None:
    canary = turn.releases.canary
    if canary is not None:
        _enter(turn, canary.release, f"canary: {canary.release.name} on {canary.share} % of the traffic")


def _replacing(turn: Turn, tried: frozenset[str]) -> bool:
    """Whether one failing instance is to be replaced: never the last, and none while more than half fail.

    What is on trial and fails is not replaced by what is in force.
    """
    serving, doubtful = turn.tally.serving, turn.tally.doubtful
    failing = doubtful > 0 and any(
        instance.phase is Phase.SERVING and not _healthy(turn, instance) and instance.spec not in tried
        for instance in turn.instances.values()
    )
    widespread = doubtful * 2 > serving
    turn.alarm(
        "widespread-failure",
        on=failing and widespread,
        text=f"{doubtful} of {serving} serving fail their probes: replacing none",
    )
    return failing and not widespread


def _order(turn: Turn, count: int, release: Release) -> None:
    if count <= 0:
        return
    told = "nothing can be started: no host was ever found; see the census' fault"
    turn.alarm("no-host", on=not turn.state.hosts, text=told)
    if turn.now >= turn.state.start_after:
        for _ in range(count):
            _enter(turn, release, f"{turn.state.desired} desired")


def _enter(turn: Turn, release: Release, reason: str) -> None:
    if not turn.state.hosts:
        return
    serial = turn.state.serial + 1
    turn.set(serial=serial)
    name = instance_name(turn.policy.app, serial)
    host = _roomiest_host(turn)
    instance = Instance(name, Phase.STARTING, host, release.spec, turn.now, None, version=0, born=turn.now)
    turn.enter(instance, Phase.STARTING, reason)


def _roomiest_host(turn: Turn) -> str:
    """The host with the fewest instances, ordered and leaving ones counted; the first by name among equals."""
    taken = dict.fromkeys(turn.state.hosts, 0)
    for instance in turn.instances.values():
        if instance.host in taken:
            taken[instance.host] += 1
    return min(taken, key=lambda host: (taken[host], host))


def _let_go(turn: Turn, tried: frozenset[str], loads: Mapping[str, int] | None) -> None:
    """Cancel what does not serve yet and is not needed, newest first; then drain, the least busy first."""
    desired = turn.state.desired
    for instance in _spare(turn, tried):
        signal = Signal.RELEASED if instance.unlisted else Signal.CANCELLED
        turn.move(instance.name, signal, f"{desired} desired, not needed any longer")
    serving = sum(instance.phase is Phase.SERVING and instance.spec not in tried for instance in _counting(turn))
    excess = serving - max(desired, 0 if turn.state.closing else turn.minimum.count)
    if excess <= 0 or ((missing(turn) or unsure(turn)) and not turn.state.closing) or _awake(turn):
        return
    if loads is None:
        turn.look = True
        return
    for instance in _victims(turn, tried, loads)[:excess]:
        turn.move(instance.name, Signal.RELEASED, f"{_why(turn, instance)}; {loads.get(instance.name, 0)} in flight")


def _awake(turn: Turn) -> bool:
    """Whether requests came since nothing was decided to be needed: a look may be seconds younger than its decision."""
    state = turn.state
    chosen = state.desired == 0 and state.manual is None and not state.closing
    return chosen and (state.load is None or not state.load.idle)


def _spare(turn: Turn, tried: frozenset[str]) -> list[Instance]:
    """What does not serve yet and is not needed, newest first; in a rollout the outdated helps until enough serve."""
    current, desired = turn.releases.current.spec, turn.state.desired
    counting = [instance for instance in _counting(turn) if instance.spec not in tried]
    healthy = [instance for instance in counting if _healthy(turn, instance)]
    waiting = [instance for instance in counting if instance.phase in ORDERED]
    waiting.sort(key=partial(_number, turn), reverse=True)
    if not rolling(turn):
        return waiting[: max(0, len(waiting) - max(0, desired - len(healthy)))]
    old = [instance for instance in waiting if instance.spec != current]
    new = [instance for instance in waiting if instance.spec == current]
    proven = sum(instance.spec == current for instance in healthy)
    return [
        *old[: max(0, len(old) - max(0, desired - len(healthy)))],
        *new[: max(0, len(new) - max(0, desired - proven))],
    ]


def _why(turn: Turn, instance: Instance) -> str:
    if rolling(turn) and instance.spec != turn.releases.current.spec:
        return f"{turn.releases.current.name} replaces {instance.spec}"
    return f"{turn.state.desired} desired"


def _number(turn: Turn, instance: Instance) -> int:
    return instance_number(turn.policy.app, instance.name) or 0


def _healthy(turn: Turn, instance: Instance) -> bool:
    return instance.phase is Phase.SERVING and instance.misses < turn.policy.life.probe_failures


def _victims(turn: Turn, tried: frozenset[str], loads: Mapping[str, int]) -> list[Instance]:
    """Serving instances in the order in which they go: failing, of an older spec, least busy, newest."""
    return sorted(
        (one for one in turn.instances.values() if one.phase is Phase.SERVING and one.spec not in tried),
        key=lambda instance: (
            _healthy(turn, instance),
            instance.spec == turn.releases.current.spec,
            loads.get(instance.name, 0),
            -_number(turn, instance),
        ),
    )


def finish_drains(turn: Turn, sighting: Sighting) -> None:
    """Stop what has drained: every live proxy has applied it, none is missing, and nothing is in flight on it."""
    draining = [instance for instance in turn.instances.values() if instance.phase is Phase.DRAINING]
    if not draining or missing(turn) or unsure(turn):
        return
    busy = {name for reading in sighting.readings for name, count in reading.leaving.items() if count}
    for instance in draining:
        if instance.name not in busy and turn.applied([instance]):
            turn.move(instance.name, Signal.EMPTY, "nothing in flight on any proxy")


def acts(turn: Turn) -> None:
    """Emit what the published phases call for; each act once."""
    placements, stops = [], list[Effect]()
    for instance in list(turn.instances.values()):
        if instance.acted or waits_for_pin(turn, instance):
            continue
        match instance.phase:
            case Phase.STARTING:
                placements.append(_placement(turn, instance))
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


def _placement(turn: Turn, instance: Instance) -> Placement:
    release = turn.releases.find(instance.spec)
    image = (release.pinned or release.image) if release else ""
    return Placement(instance.name, instance.host, instance.spec, image)
