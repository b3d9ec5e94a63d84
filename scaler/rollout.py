"""From one release to the next: asked for, resolved, tried by one instance, proven, done; or undone.

Until a new release is proven the former one carries the load and follows it; the one instance on trial comes on top.
It has to answer its probes for `settle_s` before it gets requests, and to serve for as long before others go.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleet.backend import CAPACITY, Phase
from fleet.registry import OrderKind
from fleet.release import Asked, Release, Releases, Rollout
from scaler.canary import begin_canary, cut, end_trial, lost_canary
from scaler.canary_counts import Trial
from scaler.messages import Resolve, Resolved
from scaler.pinning import answers_pin, pinned
from scaler.transitions import Signal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fleet.registry import Order
    from scaler.messages import Unresolved
    from scaler.state import Instance
    from scaler.turn import Turn


def order_release(turn: Turn, order: Order) -> None:
    """Carry out a person's order about releases, or say in its event why not."""
    releases = turn.releases
    name = order.image or (releases.previous.name if order.kind is OrderKind.ROLLBACK and releases.previous else "")
    refused = _refusal(turn, order)
    if refused and order.reason:  # an alert that comes again and again is not told again and again
        turn.notes.append(f"order {order.id}: {refused}")
    elif refused:
        turn.tell("deploy", name, "", "refused", f"order {order.id}", refused)
    elif order.kind is OrderKind.PROMOTE:
        _promote(turn, order)
    elif order.kind is OrderKind.ABORT:
        _abort(turn, order)
    elif order.kind is OrderKind.DEPLOY:
        _ask(turn, Asked(order.image or turn.policy.image, order.id, order.share, order.sticky), f"order {order.id}")
    elif releases.previous is not None:
        turn.tell("deploy", name, "", "asked", f"order {order.id}", "back to the previous release")
        _begin(turn, releases.previous, order.id)


def _refusal(turn: Turn, order: Order) -> str:
    releases = turn.releases
    if order.kind in {OrderKind.PROMOTE, OrderKind.ABORT}:
        return _canary_refusal(turn, order)
    if turn.state.closing:
        return "the operator ends this fleet"
    if releases.canary is not None:
        return f"a canary is tried: {releases.canary.release.name}; promote or abort it first"
    whole = order.kind is OrderKind.DEPLOY and order.share is None
    rollout = _on_its_way(releases) if whole else releases.rollout
    if rollout is not None or releases.asked is not None:
        name = rollout.release.name if rollout else releases.asked.image if releases.asked else ""
        return f"a deploy is under way: {name}"
    if order.kind is OrderKind.ROLLBACK and releases.previous is None:
        return "there is no previous release"
    return ""


def _on_its_way(releases: Releases) -> Rollout | None:
    """The rollout that another deploy has to wait for.

    None for a way back: what it goes back to may not start either, and then another deploy is the only way out.
    """
    return None if releases.rollout is None or releases.rollout.back else releases.rollout


def _canary_refusal(turn: Turn, order: Order) -> str:
    releases = turn.releases
    waits = order.kind is OrderKind.ABORT and releases.asked is not None and releases.asked.share is not None
    if releases.canary is None:
        return "" if waits else "there is no canary"
    serves = any(_settled(turn, instance, releases.canary.release) for instance in _capacity(turn))
    if order.kind is OrderKind.PROMOTE and not serves:
        return f"no instance of the canary has served well for {turn.policy.life.settle_s:g} s yet"
    return ""


def _promote(turn: Turn, order: Order) -> None:
    """Make the canary's release the one in force; its instances have proven it."""
    releases, canary = turn.releases, turn.releases.canary
    if canary is None:
        return
    end_trial(turn)
    name, former = canary.release.name, releases.current
    rollout = Rollout(canary.release, former, order.id, turn.now, proven=True)
    turn.set(
        releases=replace(turn.releases, current=canary.release, rollout=rollout), start_failures=0, start_after=0.0
    )
    turn.tell("canary", name, "begun", "promoted", f"order {order.id}")
    turn.tell("deploy", name, "canary", "proven", f"{former.spec} to {canary.release.spec}", f"order {order.id}")
    turn.moved.append(f"canary {canary.release.spec} promoted")


def _abort(turn: Turn, order: Order) -> None:
    """Cut the canary off, or forget the one whose image is still being resolved."""
    asked = turn.releases.asked
    why = (f"order {order.id}", order.reason) if order.reason else (f"order {order.id}",)
    if turn.releases.canary is not None:
        cut(turn, *why)
    elif asked is not None:
        turn.set(releases=replace(turn.releases, asked=None))
        turn.tell("canary", asked.image, "asked", "cut", *why)
        turn.moved.append(f"{asked.image} not wanted any longer")


def _ask(turn: Turn, asked: Asked, reason: str) -> None:
    turn.set(releases=replace(turn.releases, asked=asked))
    turn.tell("deploy", asked.image or turn.policy.spec, "", "asked", reason)
    turn.moved.append(f"{asked.image or turn.policy.spec} asked for")
    turn.effects.append(Resolve(asked.image, asked.order))


def resolved(turn: Turn, event: Resolved | Unresolved) -> None:
    """Begin the rollout of what was asked for, or drop it where it cannot be had: what runs is not touched."""
    asked = turn.releases.asked
    awaited = asked is not None and (asked.image, asked.order) == (event.image, event.order)
    if not awaited and answers_pin(turn, event):
        pinned(turn, event)
        return
    if asked is None or not awaited or not turn.acting:
        turn.notes.append(f"late: an answer about {event.image}")
        return
    turn.set(releases=replace(turn.releases, asked=None))
    if isinstance(event, Resolved):
        release = Release(event.spec, event.image, event.pinned)
        if asked.share is None:
            _begin(turn, release, event.order)
        else:
            begin_canary(turn, release, asked, asked.share)
    else:
        turn.tell("deploy", event.image, "asked", "failed", event.reason, f"{turn.releases.current.name} stays")
        turn.moved.append(f"{event.image} not to be had")


def _begin(turn: Turn, release: Release, order: str) -> None:
    releases, former = turn.releases, turn.releases.current
    if release.spec == former.spec:
        turn.set(releases=replace(releases, current=release))
        turn.tell("deploy", release.name, "asked", "done", f"{release.spec} is in force already")
    elif not order and all(instance.spec == release.spec for instance in _capacity(turn)):
        turn.set(releases=replace(releases, current=release, previous=former, rollout=None))
        turn.tell("deploy", release.name, "asked", "done", f"{release.spec} is in force; nothing else runs")
    else:
        rollout = Rollout(release, former, order, turn.now)
        turn.set(releases=replace(releases, rollout=rollout), start_failures=0, start_after=0.0)
        turn.tell("deploy", release.name, "asked", "begun", f"{former.spec} to {release.spec}", *_pin(release))
    turn.moved.append(f"release {release.spec}")


def _pin(release: Release) -> tuple[str, ...]:
    return (f"pinned as {release.pinned}",) if release.pinned else ()


def _capacity(turn: Turn) -> Iterator[Instance]:
    return (instance for instance in turn.instances.values() if instance.phase in CAPACITY)


def take_over_releases(turn: Turn, stored: Releases | None, specs: Sequence[str]) -> None:
    """Go on with what is stored, or with our own memory; else take what is configured for what is in force.

    Where neither is known and something else runs, that is the former release, of which only the spec is known; where
    both run, the way to what is configured goes on. `specs` are those that run.
    """
    configured = turn.policy.configured
    if stored is None:
        other = max((spec for spec in set(specs) if spec != configured.spec), key=specs.count, default=None)
        if other is None:
            stored = Releases(configured, configured=configured)
        elif configured.spec in specs:
            rollout = Rollout(configured, Release(other), since=turn.now)
            stored = Releases(Release(other), configured=configured, rollout=rollout)
        else:
            stored = Releases(Release(other))
    own = turn.state.releases.canary if turn.state.releases else None
    same = own is not None and stored.canary is not None and own.order == stored.canary.order
    turn.set(releases=stored, trial=turn.state.trial if same else Trial())
    ask_again(turn)


def ask_again(turn: Turn) -> None:
    """Resolve anew what was asked for: nothing was made of an answer that came while this scaler could not decide."""
    if (asked := turn.releases.asked) is not None:
        turn.effects.append(Resolve(asked.image, asked.order))


def advance(turn: Turn) -> None:
    """Notice changed settings, a proven release, and the end of a rollout."""
    if turn.state.closing:
        _close(turn)
        return
    _notice_settings(turn)
    rollout = turn.releases.rollout or _replace_others(turn)
    if rollout is None:
        return
    for instance in list(_capacity(turn)):
        if instance.phase is Phase.WARMING and _answered_long(turn, instance):
            reason = f"ready after {turn.now - instance.born:.1f} s, of those {turn.policy.life.settle_s:g} s watched"
            turn.move(instance.name, Signal.READY, reason, trouble="")
    if not rollout.proven and any(_settled(turn, instance, rollout.release) for instance in _capacity(turn)):
        rollout = replace(rollout, proven=True)
        turn.set(releases=replace(turn.releases, current=rollout.release, rollout=rollout))
        turn.tell("deploy", rollout.release.name, "begun", "proven", f"served well for {turn.policy.life.settle_s:g} s")
        turn.moved.append(f"{rollout.release.spec} proven")
    if rollout.proven and not any(instance.spec != rollout.release.spec for instance in _capacity(turn)):
        _finish(turn, rollout)


def _replace_others(turn: Turn) -> Rollout | None:
    """Have what runs of another release replaced by the one in force: it was adopted where the store had lost data.

    Like a way back it goes on whatever fails, until another deploy is ordered: there is nothing else to go to.
    """
    releases = turn.releases
    if releases.asked is not None or releases.canary is not None:
        return None
    other = next((one.spec for one in _capacity(turn) if one.spec != releases.current.spec), None)
    if other is None:
        return None
    rollout = Rollout(releases.current, Release(other), since=turn.now, proven=True, back=True)
    turn.set(releases=replace(releases, rollout=rollout))
    turn.tell("deploy", other, "", "failed", "it runs without being in force", f"back to {releases.current.name}")
    turn.moved.append(f"{other} is not in force")
    return rollout


def _notice_settings(turn: Turn) -> None:
    """Deploy a changed definition. An image that a person deployed stays, unless the settings name another one now."""
    releases, configured = turn.releases, turn.policy.configured
    busy = _on_its_way(releases) or releases.asked or releases.canary
    if releases.configured == configured or busy is not None:
        return
    before = releases.configured
    image = releases.current.image if before is not None and before.image == configured.image else configured.image
    turn.set(releases=replace(releases, configured=configured))
    if image == configured.image and not any(_capacity(turn)):
        turn.set(releases=replace(turn.releases, current=configured, previous=releases.current))
        turn.tell("deploy", configured.name, "", "done", f"{configured.spec} by the settings is in force; nothing runs")
        turn.moved.append(f"release {configured.spec}")
    else:
        _ask(turn, Asked(image), "the settings are not what runs")


def on_trial(turn: Turn, instance: Instance) -> bool:
    """Whether it is of a release that is not proven."""
    rollout = turn.releases.rollout
    return rollout is not None and not rollout.proven and instance.spec == rollout.release.spec


def _answered_long(turn: Turn, instance: Instance) -> bool:
    """Whether it answered well for long enough to get requests; one that is no longer on trial need not."""
    if instance.ready_at is None:
        return False
    return not instance.refused and (
        not on_trial(turn, instance) or turn.now - instance.ready_at >= turn.policy.life.settle_s
    )


def _settled(turn: Turn, instance: Instance, release: Release) -> bool:
    return (
        instance.spec == release.spec
        and instance.phase is Phase.SERVING
        and turn.now - instance.since >= turn.policy.life.settle_s
        and not instance.misses
        and not instance.refused
    )


def _finish(turn: Turn, rollout: Rollout) -> None:
    releases = replace(turn.releases, rollout=None)
    name, serving = rollout.release.name, f"{turn.tally.serving} serve {rollout.release.spec}"
    if rollout.back:
        turn.tell("deploy", rollout.former.name, "failed", "undone", serving)
    else:
        releases = replace(releases, previous=rollout.former)
        turn.tell("deploy", name, "proven", "done", serving, f"{turn.now - rollout.since:.0f} s in all")
    turn.set(releases=releases)
    turn.moved.append(f"{rollout.release.spec} everywhere")


def _close(turn: Turn) -> None:
    """With everything stopping there is nothing left to compare: what is proven is in force, the rest is dropped."""
    if turn.releases.canary is not None:
        cut(turn, "the operator ends the fleet")
    releases = turn.releases
    by_settings = releases.previous is None and bool(turn.policy.image)
    if by_settings and releases.current.image == turn.policy.image and not turn.instances:
        # Nobody ever deployed: the next start takes what the tag stands for then.
        releases = replace(releases, current=turn.policy.configured)
        turn.set(releases=releases)
    if releases.asked is None and releases.rollout is None:
        return
    name = releases.rollout.release.name if releases.rollout else releases.asked.image if releases.asked else ""
    turn.set(releases=replace(releases, asked=None, rollout=None))
    turn.tell("deploy", name, "", "failed", "the operator ends the fleet", f"{releases.current.name} is in force")


def undo(turn: Turn, instance: Instance, reason: str) -> bool:
    """Give a rollout up because this instance of it failed: back to the former release. False where it is of none.

    A rollout that goes back already goes on: its instances are started again as any others are.
    """
    if lost_canary(turn, instance, reason):
        return True
    rollout = turn.releases.rollout
    if rollout is None or rollout.back or instance.spec != rollout.release.spec or not turn.acting:
        return False
    back, before, then = None, "begun", f"{rollout.former.name} stays"
    if rollout.proven:
        back = Rollout(rollout.former, rollout.release, rollout.order, rollout.since, proven=True, back=True)
        before, then = "proven", f"back to {rollout.former.name}"
    turn.set(releases=replace(turn.releases, current=rollout.former, rollout=back))
    turn.tell("deploy", rollout.release.name, before, "failed", f"{instance.name}: {reason}", then)
    turn.moved.append(f"{rollout.release.spec} failed")
    return True


def aside(turn: Turn) -> frozenset[str]:
    """The specs whose instances do not carry the load as a matter of course: they come on top, and load moves no other.

    That is the release on trial, by a deploy or as a canary.
    """
    rollout, canary = turn.releases.rollout, turn.releases.canary
    if canary is not None:
        return frozenset({canary.release.spec})
    return frozenset({rollout.release.spec}) if rollout and not rollout.proven else frozenset()


def rolling(turn: Turn) -> bool:
    """Whether instances are being replaced by those of a proven release."""
    rollout = turn.releases.rollout
    return rollout is not None and rollout.proven
