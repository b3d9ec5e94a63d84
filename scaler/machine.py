"""The scaler as a pure function: `step(policy, state, event)` gives the next state and what to do.

Rules: a step that publishes emits no act; acts follow Published. Without the lease nothing is decided or done. What
has no row in `transitions.TRANSITIONS` is a late answer: a note, no change.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleet.backend import Phase
from fleet.registry import Order, OrderKind
from scaler.canary import judge
from scaler.health import REFUSED_IS_DEAD, counted, failed_start, forgive, overdue, probed, refused_by_proxies
from scaler.messages import (
    Adopted,
    Closed,
    Count,
    Counted,
    Deposed,
    Elected,
    Event,
    Ordered,
    Overwritten,
    Probed,
    Published,
    Refused,
    Resolved,
    Started,
    StartFailed,
    StopFailed,
    Stopped,
    Tick,
    Unpublished,
    Unresolved,
)
from scaler.reconcile import acts, finish_drains, reconcile
from scaler.rollout import ask_again, order_release, resolved, undo
from scaler.sizing import decide, forget, see
from scaler.state import Term
from scaler.term import survey_when_due, take_term
from scaler.transitions import Signal
from scaler.turn import Step, Turn

if TYPE_CHECKING:
    from scaler.state import Instance, Policy, State


def step(policy: Policy, state: State, event: Event) -> Step:
    """Take one event. Pure: the same arguments give the same step."""
    turn = Turn(policy, state, event.now)
    match event:
        case Tick():
            _tick(turn, event)
        case Elected() | Deposed() | Refused() | Adopted():
            take_term(turn, event)
            if turn.acting and turn.moved:
                decide(turn)
                reconcile(turn)
        case Published() | Unpublished() | Overwritten():
            _written(turn, event)
        case Ordered() | Closed() | Resolved() | Unresolved():
            _ordered(turn, event)
        case Probed() | Counted():
            _checked(turn, event)
        case Started() | StartFailed() | Stopped() | StopFailed():
            _answered(turn, event)
    return turn.finish(report=isinstance(event, Tick), publish=not isinstance(event, Unpublished))


def _tick(turn: Turn, event: Tick) -> None:
    term = turn.state.term
    if term is not None and event.renewed_at is not None:
        until = event.renewed_at + term.ttl_s
        turn.set(term=Term(term.token, term.act_from, until, term.ttl_s, term.surveyed, term.settled))
        if turn.now >= term.act_until and turn.acting:
            ask_again(turn)
    if event.sighting is None:
        turn.notes.append("the store cannot be read: holding")
        return
    see(turn, event.sighting)
    survey_when_due(turn)
    if not turn.acting:
        return
    _outrun(turn)
    detail = event.sighting.detail
    overdue(turn)
    forgive(turn)
    refused_by_proxies(turn, event.sighting)
    if detail is None:  # a look at single backends follows a decision; it is not an occasion for the next one
        decide(turn)
        turn.look = turn.look or turn.releases.canary is not None
    judge(turn, event.sighting)
    finish_drains(turn, event.sighting)
    reconcile(turn, None if detail is None else detail.in_flight)
    _count_again(turn)


def _outrun(turn: Turn) -> None:
    """Publish again where a proxy goes by a generation after ours, which the store lost: it takes none before that.

    What it has applied tells nothing of ours, so drains wait for the new one.
    """
    state = turn.state
    if state.applied <= state.generation or state.version != state.published:
        return
    for instance in list(turn.instances.values()):
        turn.put(replace(instance, version=state.version + 1, generation=None))
    told = f"a proxy has applied generation {state.applied}, which the store lost"
    turn.tell("fault", "registry", "", "written again", told)
    turn.moved.append("registry written again")


def _count_again(turn: Turn) -> None:
    warming = any(
        instance.phase is Phase.WARMING and turn.now - instance.since >= turn.policy.warming_census_s
        for instance in turn.instances.values()
    )
    every_s = turn.policy.warming_census_s if warming else turn.policy.census_s
    if turn.now - turn.state.counted_at >= every_s:
        turn.set(counted_at=turn.now)
        turn.effects.append(Count())


def _written(turn: Turn, event: Published | Unpublished | Overwritten) -> None:
    if isinstance(event, Overwritten):
        _overwritten(turn, event)
        return
    if turn.state.publishing != event.version:
        turn.notes.append(f"late: an answer to version {event.version}")
        return
    turn.set(publishing=None)
    if isinstance(event, Unpublished):
        turn.notes.append(f"version {event.version} was not published: {event.reason}")
        return
    turn.set(published=event.version, generation=event.generation, generation_at=turn.now, applied=event.generation)
    for instance in list(turn.instances.values()):
        if instance.generation is None and instance.version <= event.version:
            turn.put(_listed(turn, instance, event.generation))
    if turn.acting and turn.state.version == event.version:  # else this step publishes, and the acts come after that
        acts(turn)


def _listed(turn: Turn, instance: Instance, generation: int) -> Instance:
    """A drain takes its time from when proxies can know of it, however long the store could not be reached before."""
    if instance.phase is not Phase.DRAINING:
        return replace(instance, generation=generation)
    deadline = turn.now + turn.policy.life.drain_timeout_s
    return replace(instance, generation=generation, since=turn.now, deadline=deadline)


def _overwritten(turn: Turn, event: Overwritten) -> None:
    """Publish everything again: the registry has one writer, and this is it."""
    if turn.acting:
        turn.tell("fault", "registry", "", "written again", event.reason)
        turn.moved.append("registry written again")
    else:
        turn.notes.append("Overwritten outside a term")


def _ordered(turn: Turn, event: Ordered | Closed | Resolved | Unresolved) -> None:
    match event:
        case Closed():
            turn.set(closing=True)
            turn.tell("order", "close", "", "", "the operator ends this fleet: everything drains and stops")
            turn.moved.append("closing")  # published even where nothing is left to stop, so that the end is seen
        case Ordered():
            _obey(turn, event.order)
        case Resolved() | Unresolved():
            resolved(turn, event)
    if turn.acting:
        decide(turn)
        reconcile(turn)


def _obey(turn: Turn, order: Order) -> None:
    state = turn.state
    match order.kind:
        case OrderKind.SCALE:
            turn.tell("order", "scale", str(state.desired), str(order.count), "until 'scale auto'")
            turn.set(manual=order.count)
        case OrderKind.AUTO:
            turn.tell("order", "auto", str(state.manual), "")
            turn.set(manual=None)
        case OrderKind.PAUSE:
            turn.tell("order", "pause", "", str(state.desired), "desired is frozen until 'resume'")
            turn.set(paused=True)
        case OrderKind.RESUME:
            turn.tell("order", "resume", "", str(state.desired))
            turn.set(paused=False)
        case OrderKind.FORGET:
            forget(turn, order.proxy)
        case OrderKind.DEPLOY | OrderKind.ROLLBACK | OrderKind.PROMOTE | OrderKind.ABORT:
            order_release(turn, order)
    turn.set(last_order=order.id or state.last_order)


def _checked(turn: Turn, event: Probed | Counted) -> None:
    """Take in a probe (from the survey on, because a good one is told once) or a census."""
    if isinstance(event, Probed) and turn.state.adopted:
        probed(turn, event)
    elif isinstance(event, Counted) and turn.acting:
        counted(turn, event)
    else:
        turn.notes.append(f"{type(event).__name__} outside a term")
    if turn.acting and turn.moved:
        reconcile(turn)


def _answered(turn: Turn, event: Started | StartFailed | Stopped | StopFailed) -> None:
    """Take in what came of an act."""
    match event:
        case Started():
            _started(turn, event)
        case StartFailed():
            _start_failed(turn, event)
        case Stopped():
            _stopped(turn, event)
        case StopFailed():
            turn.tell("fault", event.name, "", "not stopped", event.reason)
    if turn.acting and turn.moved:
        reconcile(turn)


def _start_failed(turn: Turn, event: StartFailed) -> None:
    why = _why(event)
    if turn.move(event.name, Signal.START_FAILED, why) and not undo(turn, turn.instances[event.name], why):
        failed_start(turn, turn.instances[event.name])


def _started(turn: Turn, event: Started) -> None:
    if not turn.move(event.name, Signal.STARTED, f"runs at {event.url}", url=event.url, host=event.host):
        turn.effects.append(Count())


def _why(event: StartFailed) -> str:
    return f"{event.reason}{_ending(event)}"


def _stopped(turn: Turn, event: Stopped) -> None:
    instance = turn.instances.get(event.name)
    if instance is not None and not instance.acted:
        turn.notes.append(f"late: {event.name} stopped")
        return
    # One in trouble (it never got ready, or refused connections) has not told yet what its own words are.
    mute = instance is not None and (
        instance.trouble if instance.phase is Phase.FAILED else instance.refused >= REFUSED_IS_DEAD
    )
    if turn.move(event.name, Signal.STOPPED, f"stopped and removed{_ending(event) if mute else ''}"):
        turn.drop(event.name)
        turn.set(removed={**turn.state.removed, event.name: turn.now})


def _ending(event: StartFailed | Stopped) -> str:
    code = "" if event.exit_code is None else f"; exit code {event.exit_code}"
    return f"{code}; last log lines: {' | '.join(event.log)}" if event.log else code
