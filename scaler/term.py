"""The start and the end of a term: what a scaler takes over with the lease, and what it lets go without it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from fleet.backend import ORDERED, Backend, Phase, instance_number
from scaler.health import exit_reason, remove_stray
from scaler.messages import Adopted, Deposed, Elected, Found, Refused, Survey, Watch
from scaler.state import Instance, Term

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.turn import Turn


def take_term(turn: Turn, event: Elected | Deposed | Refused | Adopted) -> None:
    """Begin, fill or end a term."""
    match event:
        case Elected():
            _elected(turn, event)
        case Deposed() | Refused():
            _deposed(turn, event.reason)
        case Adopted() if turn.state.term is not None:
            _adopted(turn, event)
        case Adopted():
            turn.notes.append("late: a survey of a term that is over")


def _elected(turn: Turn, event: Elected) -> None:
    """Begin by taking stock; nothing is decided before the answer."""
    term = Term(event.token, event.act_from, event.sent_at + event.lease_ttl_s, event.lease_ttl_s)
    turn.set(term=term, adopted=False, publishing=None)
    turn.effects.append(Survey())


def _deposed(turn: Turn, reason: str) -> None:
    """Drop every pending effect and probe nothing any longer. The memory stays."""
    if turn.state.term is None:
        turn.notes.append(f"no term to end: {reason}")
        return
    turn.set(term=None, adopted=False, publishing=None, watched=())
    turn.effects.append(Watch(()))
    turn.notes.append(f"the term is over: {reason}")


def _adopted(turn: Turn, event: Adopted) -> None:
    """Make one picture of what runs and what the store (or, where that is empty, our own memory) says of it."""
    known, before = _known(turn, event), turn.instances
    _restore(turn, event, known)
    turn.set(instances={}, adopted=True)
    for item in event.census.found:
        if item.name in known:
            _continue(turn, known[item.name], item)
        else:
            _unlisted(turn, event, item)
    found = {item.name for item in event.census.found}
    for name in known.keys() - found:
        _not_found(turn, event, known[name], before.get(name))
    counts = Counter(instance.phase for instance in turn.instances.values())
    taken = ", ".join(f"{count} {phase}" for phase, count in sorted(counts.items())) or "nothing"
    turn.tell(
        "term", turn.policy.app, "", str(turn.state.term.token if turn.state.term else None), f"took over with {taken}"
    )
    turn.moved.append("taken over")


def _known(turn: Turn, event: Adopted) -> Mapping[str, Backend]:
    if event.memory.snapshot is not None:
        return event.memory.snapshot.backends
    return {name: instance.backend(0) for name, instance in turn.instances.items()}


def _restore(turn: Turn, event: Adopted, known: Mapping[str, Backend]) -> None:
    memory, census, app = event.memory, event.census, turn.policy.app
    numbers = [instance_number(app, name) or 0 for name in (*known, *(item.name for item in census.found))]
    serving = sum(1 for backend in known.values() if backend.phase is Phase.SERVING)
    empty = memory.snapshot is None
    turn.set(
        serial=max([turn.state.serial, memory.serial, *numbers]),
        generation=turn.state.generation if memory.snapshot is None else memory.snapshot.generation,
        hosts=tuple(sorted(census.hosts)),
        desired=memory.desired if memory.desired is not None else max(serving, turn.state.desired),
        manual=turn.state.manual if empty else memory.manual,
        paused=turn.state.paused if empty else memory.paused,
        last_order=memory.last_order or turn.state.last_order,
        counted_at=turn.now,
    )
    for fault in (*memory.faults, *(memory.snapshot.faults if memory.snapshot else ()), *census.faults):
        turn.tell("fault", "registry", "", "ignored", fault)


def _instance(turn: Turn, item: Found) -> Instance:
    return Instance(
        item.name, Phase.WARMING, item.host, item.spec, turn.now, None, version=0, url=item.url, born=turn.now
    )


def _listed(backend: Backend) -> Instance:
    return Instance(
        backend.name,
        backend.phase,
        backend.host,
        backend.spec,
        backend.since,
        None,
        version=0,
        url=backend.url,
        weight=backend.weight,
    )


def _continue(turn: Turn, backend: Backend, item: Found) -> None:
    """Go on in the phase that the registry remembers; where it runs is believed of the host, not of the registry."""
    instance = replace(_instance(turn, item), weight=backend.weight)
    if backend.phase in {Phase.STOPPING, Phase.FAILED, Phase.GONE}:
        turn.enter(instance, Phase.STOPPING, f"was {backend.phase}")
    elif not item.running:
        phase = Phase.FAILED if backend.phase in ORDERED else Phase.STOPPING
        turn.enter(instance, phase, exit_reason(item))
    elif backend.phase is Phase.STARTING:
        turn.enter(instance, Phase.WARMING, "was starting, now runs")
    else:
        turn.enter(instance, backend.phase)


def _unlisted(turn: Turn, event: Adopted, item: Found) -> None:
    """Remove what the registry does not know; adopt it where the registry is empty, or could not be read whole."""
    snapshot = event.memory.snapshot
    if snapshot is not None and not snapshot.faults:
        remove_stray(turn, item, "labelled as ours, not in the registry")
    elif item.running:
        phase = Phase.SERVING if item.name in event.ready else Phase.WARMING
        turn.enter(_instance(turn, item), phase, "found running, adopted: the registry does not tell")
    else:
        remove_stray(turn, item, exit_reason(item))


def _not_found(turn: Turn, event: Adopted, backend: Backend, before: Instance | None) -> None:
    """Drop what is not there any longer; keep what a silent host may still run."""
    if backend.host in event.census.answered:
        turn.tell("instance", backend.name, backend.phase, Phase.GONE, "in the registry, but not there")
    else:
        reason = f"host {backend.host} does not answer: kept as it was"
        turn.enter(before or _listed(backend), backend.phase, reason)
