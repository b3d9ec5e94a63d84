"""The start and the end of a term: what a scaler takes over with the lease, and what it lets go without it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from fleet.backend import CAPACITY, ORDERED, Backend, Phase, instance_number
from fleet.registry import entry_order
from scaler.health import adopt, exit_reason, grown, remove_stray, running_instance
from scaler.messages import Adopted, Deposed, Elected, Found, Refused, Survey, Watch
from scaler.rollout import take_over_releases, undo
from scaler.sizing import list_again, lost_by_the_store
from scaler.state import Instance, Term

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet.registry import Memory
    from scaler.turn import Turn


# A name is used once, ever. Where the numbers given out lately are not known, so many ms of a token stand for one:
# tokens are times that never go back, so terms do not meet in what they give out, whatever each of them remembers.
NUMBER_MS = 10
# At least so many are left out, should the server's clock have gone back.
LOST_NUMBERS = 1000


def take_term(turn: Turn, event: Elected | Deposed | Refused | Adopted) -> None:
    """Begin, fill or end a term."""
    match event:
        case Elected():
            _elected(turn, event)
        case Deposed() | Refused():
            _deposed(turn, event.reason)
        case Adopted():
            term = turn.state.term
            if term is None or term.token != event.token or turn.state.adopted:
                turn.notes.append(f"late: a survey for token {event.token}")
            elif _blind(turn, event):
                turn.set(term=replace(term, surveyed=False))
                turn.notes.append("no host answers and nothing is stored, but proxies serve: surveying again")
            else:
                _adopted(turn, event)


def survey_when_due(turn: Turn) -> None:
    """Take stock once acts may begin, not before: until then an earlier holder may still act.

    And only after a look at the proxies in this term: whom the store lost shows by it.
    """
    term = turn.state.term
    if term is not None and not term.surveyed and turn.now >= term.act_from:
        turn.set(term=replace(term, surveyed=True))
        turn.effects.append(Survey(term.token))


def _elected(turn: Turn, event: Elected) -> None:
    """Begin; stock is taken at the next look, and nothing is decided before its answer."""
    settled = event.act_from <= event.sent_at
    term = Term(event.token, event.act_from, event.sent_at + event.lease_ttl_s, event.lease_ttl_s, settled=settled)
    turn.set(term=term, adopted=False, publishing=None, pinning=False, pin_tried=-1)


def _deposed(turn: Turn, reason: str) -> None:
    """Drop every pending effect and probe nothing any longer. The memory stays."""
    term = turn.state.term
    if term is None:
        turn.notes.append(f"no term to end: {reason}")
        return
    bereft = turn.state.adopted and turn.now < term.act_until
    turn.set(term=None, adopted=False, bereft=bereft, publishing=None, pinning=False, watched=())
    turn.effects.append(Watch(()))
    turn.notes.append(f"the term is over: {reason}")


def _adopted(turn: Turn, event: Adopted) -> None:
    """Make one picture of what runs and what the store says of it (or our own memory, where that knows more)."""
    known, before = _known(turn, event), turn.instances if _up_to_date(turn) else {}
    complete = _complete(turn, event)
    _restore(turn, event, known)
    unheard = event.census.hosts - event.census.answered
    turn.set(instances={}, adopted=True, unheard=turn.state.unheard & unheard if complete else unheard)
    if not complete or (turn.state.term is not None and not turn.state.term.settled):
        lost_by_the_store(turn)
    list_again(turn)
    for item in event.census.found:
        if item.name in known:
            _continue(turn, known[item.name], item, complete=complete)
        else:
            _unlisted(turn, event, item, complete=complete)
    found = {item.name for item in event.census.found}
    for name, backend in known.items():  # in this order, so that a trace gives the same when it is taken again
        if name not in found:
            _not_found(turn, event, backend, before.get(name), complete=complete)
    if not complete:
        turn.set(desired=max(turn.state.desired, turn.tally.capacity))
    counts = Counter(instance.phase for instance in turn.instances.values())
    taken = ", ".join(f"{count} {phase}" for phase, count in sorted(counts.items())) or "nothing"
    turn.tell(
        "term", turn.policy.app, "", str(turn.state.term.token if turn.state.term else None), f"took over with {taken}"
    )
    turn.moved.append("taken over")


def _blind(turn: Turn, event: Adopted) -> bool:
    """Whether there is a fleet, for proxies have applied it, of which neither store, hosts nor memory tell anything.

    To publish then would be to publish an empty fleet while every instance runs.
    """
    serving = any(proxy.generation for proxy in turn.state.proxies.values())
    told = event.memory.snapshot is not None or event.census.answered or (turn.instances and _up_to_date(turn))
    return serving and not told


def _known(turn: Turn, event: Adopted) -> Mapping[str, Backend]:
    """What the store lists, or our own memory where that is newer, with what the older list tells of others that run.

    What neither this memory nor a host knows any longer is gone, and a silent host is no reason to list it again.
    """
    listed = event.memory.snapshot.backends if event.memory.snapshot else {}
    if not _remembers_more(turn, event):
        return listed
    runs = {item.name for item in event.census.found}
    ours = {name: instance.backend(0) for name, instance in turn.instances.items()}
    return {**{name: backend for name, backend in listed.items() if name in runs}, **ours}


def _remembers_more(turn: Turn, event: Adopted) -> bool:
    """Whether the store holds no registry, or lost the last that this scaler published or read."""
    snapshot = event.memory.snapshot
    return _up_to_date(turn) and (snapshot is None or snapshot.generation < turn.state.generation)


def _up_to_date(turn: Turn, memory: Memory | None = None) -> bool:
    """Whether no proxy ever applied more than this scaler (or the store) remembers: others may have acted since."""
    stored = memory.snapshot.generation if memory is not None and memory.snapshot else 0
    return turn.state.applied <= max(turn.state.generation, stored)


def _complete(turn: Turn, event: Adopted) -> bool:
    """Whether the store lists everything: it holds a registry, without faults, as new as any that was seen."""
    snapshot = event.memory.snapshot
    seen = max(turn.state.generation, turn.state.applied)
    return snapshot is not None and not snapshot.faults and snapshot.generation >= seen


def _restore(turn: Turn, event: Adopted, known: Mapping[str, Backend]) -> None:
    memory, census, app = event.memory, event.census, turn.policy.app
    numbers = [instance_number(app, name) or 0 for name in (*known, *(item.name for item in census.found))]
    serving = sum(1 for backend in known.values() if backend.phase is Phase.SERVING)
    ours = _remembers_more(turn, event)
    turn.set(
        serial=_last_number(turn, event, max([turn.state.serial, memory.serial, *numbers])),
        generation=max(turn.state.generation, memory.snapshot.generation if memory.snapshot else 0),
        generation_at=turn.now,
        hosts=tuple(sorted(census.answered or census.hosts)) or turn.state.hosts,
        desired=max(serving, turn.state.desired) if ours or memory.desired is None else memory.desired,
        manual=turn.state.manual if ours else memory.manual,
        paused=turn.state.paused if ours else memory.paused,
        last_order=max(memory.last_order, turn.state.last_order, key=entry_order),
        counted_at=turn.now,
    )
    own = turn.state.releases if _up_to_date(turn) else None  # others may have deployed since
    specs = [item.spec for item in census.found if item.running]
    take_over_releases(turn, (own or memory.releases) if ours else (memory.releases or own), specs)
    for fault in (*memory.faults, *(memory.snapshot.faults if memory.snapshot else ()), *census.faults):
        turn.tell("fault", "registry", "", "ignored", fault)


def _last_number(turn: Turn, event: Adopted, known: int) -> int:
    """The last number that may have been given out: the last known one, where this scaler knows of all terms."""
    state, term = turn.state, turn.state.term
    if _up_to_date(turn, event.memory):
        listed = _complete(turn, event) or (state.generation > 0 and _remembers_more(turn, event))
        if listed or event.census.answered >= event.census.hosts:
            return known
    # Who waits for an earlier holder leaves out what that one may give out meanwhile.
    waited_ms = 0 if term is None or term.settled else round(term.ttl_s * 1000)
    # The server's clock may have gone back since what this scaler or a proxy saw last; its own did not.
    ours_ms = state.generation + round((turn.now - state.generation_at) * 1000) if state.generation else 0
    return max(known + LOST_NUMBERS, max(event.token + waited_ms, state.applied, ours_ms) // NUMBER_MS)


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


def _continue(turn: Turn, backend: Backend, item: Found, *, complete: bool) -> None:
    """Go on in the phase that the registry remembers; where it runs is believed of the host, not of the registry.

    What goes by a registry that does not tell everything drains first: it may have been adopted since.
    """
    instance = replace(running_instance(turn, item), weight=backend.weight, unlisted=not complete)
    if backend.phase in {Phase.STOPPING, Phase.FAILED, Phase.GONE}:
        phase = Phase.STOPPING if complete or not item.running else Phase.DRAINING
        turn.enter(instance, phase, f"was {backend.phase}")
    elif not item.running:
        phase = Phase.FAILED if backend.phase in ORDERED else Phase.STOPPING
        turn.enter(instance, phase, exit_reason(item))
        if backend.phase in CAPACITY:
            undo(turn, instance, exit_reason(item))
    elif backend.phase is Phase.STARTING:
        turn.enter(instance, Phase.WARMING, "was starting, now runs")
    elif backend.phase is Phase.SERVING:
        turn.enter(grown(instance), Phase.SERVING, listed_since=_since(turn, backend))
    else:  # what warms may have been adopted by the last holder, and have served before
        turn.enter(replace(instance, unlisted=True), backend.phase, listed_since=_since(turn, backend))


def _since(turn: Turn, backend: Backend) -> float | None:
    """Since when it is in its phase by the registry; 0 stands for nobody knows, and another's clock may be ahead."""
    return min(backend.since, turn.now) or None


def _unlisted(turn: Turn, event: Adopted, item: Found, *, complete: bool) -> None:
    """Remove what the registry does not know; adopt it where the registry is empty, too old, or was read in part."""
    if complete:
        remove_stray(turn, item, "labelled as ours, not in the registry")
    elif item.running:
        adopt(turn, item, ready=item.name in event.ready)
    else:
        remove_stray(turn, item, exit_reason(item))


def _not_found(turn: Turn, event: Adopted, backend: Backend, before: Instance | None, *, complete: bool) -> None:
    """Drop what is not there any longer; keep what a silent host may still run, as far on as it may be."""
    if backend.host in event.census.answered:
        turn.tell("instance", backend.name, backend.phase, Phase.GONE, "in the registry, but not there")
        return
    phase = backend.phase if complete else _perhaps(backend.phase)
    # As in `_continue`: what warms may have served before.
    kept = replace(before or _listed(backend), unlisted=phase is Phase.WARMING)
    reason = f"host {backend.host} does not answer: kept as it was"
    turn.enter(kept, phase, reason, listed_since=_since(turn, backend))
    if phase is Phase.STARTING:  # it may have been started; not again, its deadline decides
        turn.put(replace(turn.instances[backend.name], acted=True))


def _perhaps(phase: Phase) -> Phase:
    """How far on what a registry tells that lost data may be by now, so that it drains before it is stopped."""
    match phase:
        case Phase.STARTING:
            return Phase.WARMING
        case Phase.STOPPING | Phase.FAILED:
            return Phase.DRAINING
        case _:
            return phase
