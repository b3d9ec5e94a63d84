"""What probes, censuses and the proxies' refused connections say of single instances: ready, failing or dead."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from fleet.backend import Phase, instance_number
from scaler.messages import Counted, Found, Outcome, Probed
from scaler.rollout import on_trial, undo
from scaler.state import Instance
from scaler.transitions import Signal

if TYPE_CHECKING:
    from fleet.registry import Sighting
    from scaler.turn import Turn

REFUSED_IS_DEAD = 2


def probed(turn: Turn, event: Probed) -> None:
    """Make a warming instance serve at its first good answer; count what goes wrong with a serving one."""
    instance = turn.instances.get(event.name)
    if instance is None:
        turn.notes.append(f"late: probe of {event.name}, which is not known")
    elif instance.phase is Phase.WARMING:
        if on_trial(turn, instance):
            _try(turn, instance, event)
        elif event.outcome is Outcome.READY:
            turn.move(event.name, Signal.READY, f"ready after {turn.now - instance.born:.1f} s", trouble="")
        elif instance.trouble != event.detail:
            turn.put(replace(instance, trouble=event.detail))
    elif instance.phase is Phase.SERVING:
        _judge(turn, instance, event)
    else:
        turn.notes.append(f"late: probe of {event.name}, which is {instance.phase}")


def _try(turn: Turn, instance: Instance, event: Probed) -> None:
    """Have one on trial answer well for a while before it gets requests: what dies young then loses none."""
    match event.outcome:
        case Outcome.READY:
            ready_at = turn.now if instance.ready_at is None else instance.ready_at
            turn.put(replace(instance, ready_at=ready_at, refused=0, trouble=""))
        case Outcome.REFUSED if instance.ready_at is not None:
            refuse(turn, instance, 1)
        case _:
            turn.put(replace(instance, ready_at=None, trouble=event.detail))


def _judge(turn: Turn, instance: Instance, event: Probed) -> None:
    match event.outcome:
        case Outcome.READY:
            if instance.refused or instance.misses:
                turn.put(replace(instance, refused=0, misses=0, trouble=""))
                turn.watch_again()
        case Outcome.REFUSED:
            refuse(turn, instance, 1)
        case Outcome.TIMED_OUT | Outcome.BAD:
            misses = instance.misses + 1
            turn.put(replace(instance, refused=0, misses=misses, trouble=event.detail))
            turn.watch_again()
            if misses == turn.policy.life.probe_failures:
                turn.tell("fault", instance.name, "", "failing", f"{misses} probes in a row: {event.detail}")
                undo(turn, instance, f"{misses} probes in a row: {event.detail}")


def refuse(turn: Turn, instance: Instance, times: int) -> None:
    """Count refused connections in a row; at the second the instance is dead, out at once and replaced."""
    refused = instance.refused + times
    trouble = f"connections refused {refused} times in a row"
    turn.put(replace(instance, refused=refused, trouble=trouble))
    if refused >= REFUSED_IS_DEAD:
        died(turn, instance.name, trouble)
    else:
        turn.watch_again()


def died(turn: Turn, name: str, reason: str) -> None:
    """Take a dead instance out; one that died young counts as a failed start, so that a crash loop backs off."""
    instance = turn.instances[name]
    if not turn.move(name, Signal.DIED, reason) or undo(turn, instance, reason):
        return
    if _young(turn, instance) or instance.phase is Phase.WARMING:
        failed_start(turn, instance)


def _young(turn: Turn, instance: Instance) -> bool:
    return turn.now - instance.born < turn.policy.sizes.stable_window_s


def failed_start(turn: Turn, instance: Instance) -> None:
    """Wait longer before the next start: exponential, capped. What was ordered together fails as one."""
    if instance.born < turn.state.start_after:
        return
    life = turn.policy.life
    wait_s = min(life.backoff_max_s, life.backoff_s * 2 ** min(turn.state.start_failures, 30))
    turn.set(start_failures=turn.state.start_failures + 1, start_after=turn.now + wait_s)
    turn.tell(
        "backoff", turn.policy.app, "", f"{wait_s:g} s", f"{turn.state.start_failures} failed starts since a good one"
    )


def forgive(turn: Turn) -> None:
    """Forget failed starts once one that was ordered after the last of them has outlived its youth."""
    if turn.state.start_failures and any(
        instance.phase is Phase.SERVING and instance.born >= turn.state.start_after and not _young(turn, instance)
        for instance in turn.instances.values()
    ):
        turn.set(start_failures=0)


def overdue(turn: Turn) -> None:
    """Move every instance whose phase has lasted too long."""
    late = [
        instance
        for instance in turn.instances.values()
        if instance.deadline is not None
        and instance.deadline <= turn.now
        and not (instance.phase is Phase.DRAINING and instance.generation is None)  # no proxy can know of it yet
        and not (instance.ready_at is not None and on_trial(turn, instance))  # ready; it is only watched
    ]
    for instance in late:
        reason = f"{instance.phase} for {turn.now - instance.since:.0f} s"
        if instance.trouble:
            reason = f"{reason}: {instance.trouble}"
        served = instance.unlisted and instance.phase is Phase.WARMING  # perhaps: what is in flight on it ends first
        turn.move(instance.name, Signal.RELEASED if served else Signal.OVERDUE, reason)
        if instance.phase in {Phase.STARTING, Phase.WARMING} and not undo(turn, instance, reason):
            failed_start(turn, instance)


def refused_by_proxies(turn: Turn, sighting: Sighting) -> None:
    """Notice connections that backends refused to the proxies; which ones is read only when a count grew."""
    proxies = turn.state.proxies
    told_more = [one for one in sighting.readings if one.refused > proxies[one.id].refusals]
    if not told_more:
        return
    grown = Counter[str]()
    for reading in told_more:
        proxy = proxies[reading.id]
        if sighting.detail is None:
            turn.look = True
            continue
        told = sighting.detail.refused.get(reading.id, {})
        if proxy.refused is not None:
            grown.update({name: count - proxy.refused.get(name, 0) for name, count in told.items()})
        proxies = {**proxies, reading.id: replace(proxy, refusals=reading.refused, refused=told)}
    turn.set(proxies=proxies)
    for name, times in grown.items():
        instance = turn.instances.get(name)
        if times > 0 and instance is not None and instance.phase is Phase.SERVING:
            refuse(turn, instance, times)


def counted(turn: Turn, event: Counted) -> None:
    """Hold a census against what should be there: the vanished and exited are dead, strays are removed."""
    census = event.census
    found = {item.name: item for item in census.found}
    turn.set(hosts=tuple(sorted(census.answered)) or turn.state.hosts)
    turn.alarm("census", on=bool(census.faults), text="; ".join(census.faults))
    silent = census.hosts - census.answered
    turn.alarm("host-silent", on=bool(silent), text=f"no answer from {', '.join(sorted(silent))}")
    for instance in list(turn.instances.values()):
        if instance.phase not in {Phase.WARMING, Phase.SERVING, Phase.DRAINING} or instance.since >= census.asked_at:
            continue
        item = found.get(instance.name)
        if item is not None and not item.running:
            died(turn, instance.name, exit_reason(item))
        elif item is None and instance.host in census.answered:
            died(turn, instance.name, "its container or process is gone")
    for item in census.found:
        if item.name not in turn.instances and census.asked_at > turn.state.removed.get(item.name, -inf):
            _unknown(turn, item)
    turn.set(removed={name: at for name, at in turn.state.removed.items() if at >= census.asked_at})
    if turn.state.unheard:
        turn.set(unheard=turn.state.unheard - census.answered)


def _unknown(turn: Turn, item: Found) -> None:
    if item.host in turn.state.unheard and item.running:
        adopt(turn, item, ready=False)
    else:
        remove_stray(turn, item, "not in the registry")


def running_instance(turn: Turn, item: Found) -> Instance:
    """What was found running, before it is known in which phase."""
    return Instance(
        item.name, Phase.WARMING, item.host, item.spec, turn.now, None, version=0, url=item.url, born=turn.now
    )


def grown(instance: Instance) -> Instance:
    """One that was found serving: its death is no failed start, however soon it comes."""
    return replace(instance, born=0.0)


def adopt(turn: Turn, item: Found, *, ready: bool) -> None:
    """Take over what runs without being listed, where the registry does not tell everything."""
    number = instance_number(turn.policy.app, item.name) or 0
    turn.set(serial=max(turn.state.serial, number))
    instance, phase = replace(running_instance(turn, item), unlisted=True), Phase.WARMING
    if ready:
        instance, phase = grown(instance), Phase.SERVING
    turn.enter(instance, phase, "found running, adopted: the registry does not tell")


def exit_reason(item: Found) -> str:
    """How it ended, in one line: exit code and last words."""
    code = "" if item.exit_code is None else f" with exit code {item.exit_code}"
    words = f"; last log lines: {' | '.join(item.log)}" if item.log else ""
    return f"it ended{code}{words}"


def remove_stray(turn: Turn, item: Found, reason: str) -> None:
    """Have something of ours that nobody ordered (or ordered any longer) stopped and removed.

    What runs drains first, for a proxy may have known it by a registry that is lost.
    """
    number = instance_number(turn.policy.app, item.name) or 0
    turn.set(serial=max(turn.state.serial, number))
    turn.enter(running_instance(turn, item), Phase.DRAINING if item.running else Phase.STOPPING, reason)
