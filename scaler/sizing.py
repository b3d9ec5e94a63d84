"""From what the proxies counted to how many instances are desired."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleet.meter import observe
from fleet.registry import PROXY_TTL_S, REPORTED_LIMIT
from scaler.messages import Forget, Remember
from scaler.policy import Observation, recommend
from scaler.state import Proxy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet.registry import ProxyReading, Sighting
    from scaler.policy import Recommendation
    from scaler.turn import Turn

# For so long a proxy that is no longer listed may still turn out to be lost by the store, and not to have left.
VANISHED_S = 60.0


def see(turn: Turn, sighting: Sighting) -> None:
    """Take in one look at the proxies: the load, who is missing, which generation each has applied."""
    sizes = turn.policy.sizes
    window, load = observe(
        turn.state.window, turn.now, sighting, stable_s=sizes.stable_window_s, panic_s=sizes.panic_window_s
    )
    proxies = {reading.id: _proxy(turn.state.proxies.get(reading.id), reading) for reading in sighting.readings}
    listed = {*proxies, *sighting.silent}
    bereft = turn.state.bereft
    unlisted = [name for name, one in turn.state.proxies.items() if (one.unlisted or bereft) and name not in listed]
    blind = _blind(turn)
    for name in (*sighting.silent, *unlisted):
        known = turn.state.proxies.get(name, Proxy(0))
        since = turn.now if known.silent_since is None or blind else known.silent_since
        lasting = known.outlives_agent or name in sighting.lasting
        if turn.now - since < turn.policy.life.proxy_forget_s or lasting:
            lost = name not in listed
            proxies[name] = replace(known, silent_since=since, outlives_agent=lasting, unlisted=lost)
            if lost and turn.acting:
                turn.effects.append(Remember(name, lasting))
        elif turn.acting:
            turn.effects.append(Forget(name))
            turn.tell("proxy", name, "missing", "forgotten", f"silent for {turn.now - since:.0f} s")
    reported = [reading.generation for reading in sighting.readings if reading.generation < REPORTED_LIMIT]
    applied = max([turn.state.applied, *reported])
    vanished = _vanished(turn, listed)
    turn.set(window=window, load=load, proxies=proxies, applied=applied, vanished=vanished, seen_at=turn.now)
    if bereft:
        turn.set(bereft=False)
    if turn.acting:
        turn.alarm("proxy-counters", on=bool(sighting.faults), text="; ".join(sighting.faults))


def _blind(turn: Turn) -> bool:
    """Whether a silent proxy may have come and gone since the last look, so that its silence is timed from this one."""
    return turn.now - turn.state.seen_at > PROXY_TTL_S


def _vanished(turn: Turn, listed: set[str]) -> Mapping[str, tuple[float, Proxy]]:
    before = turn.state.vanished
    if not before and turn.state.proxies.keys() <= listed:
        return before
    kept = {name: one for name, one in before.items() if name not in listed and turn.now - one[0] < VANISHED_S}
    gone = {name: known for name, known in turn.state.proxies.items() if name not in listed and not known.unlisted}
    if _blind(turn):
        gone = {name: replace(known, silent_since=None) for name, known in gone.items()}
    return kept | {name: (turn.now, known) for name, known in gone.items()}


def lost_by_the_store(turn: Turn) -> None:
    """Miss the proxies that vanished with the store's data: they may go on sending to what they knew last.

    They are listed again before anything is published: who takes over then sees a whole registry, and only by that
    list whom to miss.
    """
    lost = {
        name: replace(known, silent_since=since if known.silent_since is None else known.silent_since, unlisted=True)
        for name, (since, known) in turn.state.vanished.items()
    }
    turn.set(proxies={**turn.state.proxies, **lost}, vanished={})
    for name in lost:
        turn.tell("proxy", name, "", "missing", "lost by the store, and not heard of since")


def list_again(turn: Turn) -> None:
    """Have the store list what it lost of the proxies that are missed."""
    for name, one in turn.state.proxies.items():
        if one.unlisted and turn.acting:
            turn.effects.append(Remember(name, one.outlives_agent))


def _proxy(known: Proxy | None, reading: ProxyReading) -> Proxy:
    """The proxy as it reports now. What a first sight counts is old; a new series began at nothing."""
    if known is not None and known.series == reading.series:
        if known.generation == reading.generation and known.silent_since is None:
            return known
        return replace(known, generation=reading.generation, silent_since=None, unlisted=False)
    unknown = known is None and reading.refused > 0
    refused: Mapping[str, int] | None = None if unknown else {}
    return Proxy(reading.generation, None, reading.outlives_agent, reading.series, 0, refused)


def forget(turn: Turn, name: str) -> None:
    """Wait no longer for a missing proxy, because a person knows that it is gone for good."""
    proxy = turn.state.proxies.get(name)
    if proxy is None or proxy.silent_since is None:
        turn.tell("order", "forget", name, "", "not missing: nothing waits for it")
        return
    turn.set(proxies={other: one for other, one in turn.state.proxies.items() if other != name})
    turn.effects.append(Forget(name))
    turn.tell("proxy", name, "missing", "forgotten", f"ordered; silent for {turn.now - proxy.silent_since:.0f} s")


def missing(turn: Turn) -> tuple[str, ...]:
    """The proxies that fell silent without saying goodbye."""
    return tuple(name for name, proxy in turn.state.proxies.items() if proxy.silent_since is not None)


def unsure(turn: Turn) -> bool:
    """Whether a proxy went from the list after the lease was renewed last: it left, or the store lost its data.

    A store that lost its data has lost the lease, too, so the next look, which renews it first, tells the one from the
    other.
    """
    term = turn.state.term
    return term is not None and any(at + term.ttl_s > term.act_until for at, _ in turn.state.vanished.values())


def decide(turn: Turn) -> None:
    """Set how many instances are desired, with the reasons."""
    blind = turn.state.load is None and bool(turn.state.window.gauge)
    turn.alarm("no-data", on=blind, text="no proxy reports any longer: holding what is there")
    lost = missing(turn)
    turn.alarm("proxy-missing", on=bool(lost), text=f"silent: {', '.join(lost)}; nothing is scaled down by choice")
    if turn.state.closing:
        _desire(turn, 0, ("the operator ends the fleet",))
        return
    found = _recommendation(turn, lost)
    _remember(turn, found)
    if turn.now < turn.state.start_after:
        waits = f"back-off: no start yet after {turn.state.start_failures} failed in a row"
        found = replace(found, reasons=(*found.reasons, waits))
    highest, minimum = turn.policy.sizes.max, turn.minimum
    scheduled = (minimum.reason,) if minimum.reason else ()
    if turn.state.manual is not None:
        count = min(max(turn.state.manual, minimum.count), highest)
        _desire(turn, count, (f"ordered: {turn.state.manual}, until 'scale auto'", *scheduled))
    elif turn.state.paused:
        count = min(max(turn.state.desired, minimum.count), highest)
        _desire(turn, count, (f"paused at {count}", *found.reasons, *scheduled))
    else:
        _desire(turn, found.count, (*found.reasons, *scheduled))


def _recommendation(turn: Turn, lost: tuple[str, ...]) -> Recommendation:
    state, sizes, tally = turn.state, turn.policy.sizes, turn.tally
    span = sizes.stabilisation_s if sizes.kind == "target" else sizes.stable_window_s
    recent = next((need for at, need in state.needs if at >= turn.now - span), None)
    return recommend(
        sizes,
        Observation(
            load=state.load,
            desired=state.desired,
            minimum=turn.minimum.count,
            serving=tally.serving,
            ordered=tally.ordered,
            draining=tally.draining,
            panicking=turn.now < state.panic_until,
            peak=state.peak if turn.now < state.panic_until else 0,
            recent=recent,
            keep=f"proxy {lost[0]} is missing" if lost else "",
        ),
    )


def _remember(turn: Turn, found: Recommendation) -> None:
    """Keep the needs of the stabilisation time, falling, so that the first one still young is the largest."""
    if turn.state.load is None:
        return
    sizes = turn.policy.sizes
    span = max(sizes.stabilisation_s, sizes.stable_window_s)
    needs = turn.state.needs
    while needs and needs[-1][1] <= found.need:
        needs = needs[:-1]
    while needs and needs[0][0] < turn.now - span:
        needs = needs[1:]
    panic_until = turn.now + sizes.stable_window_s if found.burst else turn.state.panic_until
    peak = max(turn.state.peak, found.count) if turn.now < panic_until else 0
    turn.set(needs=(*needs, (turn.now, found.need)), panic_until=panic_until, peak=peak)


def _desire(turn: Turn, count: int, reasons: tuple[str, ...]) -> None:
    before = turn.state.desired
    turn.alarm(
        "at-max",
        on=any(reason.startswith("max:") for reason in reasons),
        text=next((reason for reason in reasons if reason.startswith("max:")), ""),
    )
    if count != before:
        turn.tell("decision", turn.policy.app, str(before), str(count), *reasons)
        turn.set(desired=count, reasons=reasons)
    elif reasons != turn.state.reasons:
        turn.set(reasons=reasons)
