"""A release on trial: how many of it, with what share of the traffic, judged at each look, cut off when it is worse.

It carries its share on top of what is desired, and gives way to it: everything together stays within max and surge.
Load never chooses a canary to go. What was seen of it is this scaler's own: another that takes over begins anew.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleet.backend import CAPACITY, DEFAULT_WEIGHT, ORDERED, Phase, instance_number
from fleet.registry import CanaryStanding, SetStanding
from fleet.release import Canary, Release
from scaler.canary_counts import Trial, finished
from scaler.canary_judge import weigh
from scaler.canary_weights import share_of, wanted_canaries, weights
from scaler.sizing import missing
from scaler.transitions import Signal

if TYPE_CHECKING:
    from fleet.registry import Sighting
    from fleet.release import Asked
    from scaler.canary_judge import Trials
    from scaler.state import Instance
    from scaler.turn import Turn

MOST_DEATHS = 3


def begin_canary(turn: Turn, release: Release, asked: Asked, share: int) -> None:
    """Try the release from now on; one that is in force already cannot be tried."""
    if release.spec == turn.releases.current.spec:
        turn.tell("canary", release.name, "asked", "refused", f"{release.spec} is in force already")
        return
    canary = Canary(release, share, asked.order, asked.sticky, turn.now)
    turn.set(releases=replace(turn.releases, canary=canary), trial=Trial())
    pin = (f"pinned as {release.pinned}",) if release.pinned else ()
    kept = ("clients keep to their set by a cookie",) if asked.sticky else ()
    turn.tell("canary", release.name, "asked", "begun", f"{share} % of the traffic", *kept, *pin)
    turn.moved.append(f"canary {release.spec}")


def cut(turn: Turn, *reasons: str) -> None:
    """Send the canary nothing from the next publication on, and let its instances go."""
    canary = turn.releases.canary
    if canary is None:
        return
    end_trial(turn)
    turn.tell("canary", canary.release.name, "begun", "cut", *reasons, f"{turn.releases.current.name} stays")
    turn.moved.append(f"canary {canary.release.spec} cut")
    for instance in _canaries(turn, canary):
        _release(turn, instance, "the canary is cut off")


def end_trial(turn: Turn) -> None:
    """There is no canary from now on; all instances weigh the same again."""
    turn.set(releases=replace(turn.releases, canary=None), trial=Trial())
    _set_weights(turn, dict.fromkeys(turn.instances, DEFAULT_WEIGHT))


def lost_canary(turn: Turn, instance: Instance, reason: str) -> bool:
    """Count a canary that failed, and cut off at the third; False where it is none."""
    canary = turn.releases.canary
    if canary is None or instance.spec != canary.release.spec or not turn.acting:
        return False
    deaths = canary.deaths + 1
    turn.set(releases=replace(turn.releases, canary=replace(canary, deaths=deaths)))
    turn.moved.append(f"canary {instance.name} lost")
    if deaths >= MOST_DEATHS:
        cut(turn, f"{deaths} of its instances failed, the last was {instance.name}: {reason}")
    return True


def missing_canaries(turn: Turn, most: int) -> int:
    """How many canaries are to be started; those above what is wanted are let go. `most` is for all instances.

    The first waits until the stable set serves: it would get all of the traffic.
    """
    canary = turn.releases.canary
    if canary is None or turn.state.closing:
        return 0
    _replace_failing(turn, canary)
    desired, there = turn.state.desired, _canaries(turn, canary)
    wanted = min(wanted_canaries(canary.share / 100, desired), most - desired) if desired else 0
    if len(there) > wanted and not missing(turn):
        surplus = sorted(there, key=lambda one: (one.phase not in ORDERED, -_number(turn, one)))
        waiting = sum(one.phase in ORDERED for one in there)
        for instance in surplus[: min(len(there) - max(0, wanted), waiting + _spare(turn, most))]:
            _release(turn, instance, f"{wanted} canaries for {desired} desired")
    return max(0, wanted - len(there)) if _serving(turn, stable=True) else 0


def _replace_failing(turn: Turn, canary: Canary) -> None:
    """Let canaries go that fail their probes, but never the last that serves, nor one that the minimum needs."""
    for instance in _canaries(turn, canary):
        failing = instance.phase is Phase.SERVING and instance.misses >= turn.policy.life.probe_failures
        if failing and turn.tally.serving > max(1, turn.minimum.count):
            _release(turn, instance, f"replaced: {instance.misses} probes in a row: {instance.trouble}")


def _spare(turn: Turn, most: int) -> int:
    """How many that serve are not needed; one where nothing else makes room for a start.

    After lost data what was in force may be the canary of an older time, and carry all of the load.
    """
    tally = turn.tally
    full = tally.capacity >= most and not tally.ordered and tally.serving > turn.minimum.count
    return max(tally.serving - max(turn.state.desired, turn.minimum.count), int(full))


def share_out(turn: Turn) -> None:
    """Set the weights so that the canary's share is what was ordered, or what those that serve of it can carry."""
    canary = turn.releases.canary
    if canary is None:
        return
    ours, theirs = _serving(turn, stable=False), _serving(turn, stable=True)
    wanted = wanted_canaries(canary.share / 100, max(len(theirs), 1))
    share = canary.share / 100 * min(1.0, len(ours) / wanted)
    one, other = weights(share, len(ours), len(theirs))
    _set_weights(turn, dict.fromkeys(ours, one) | dict.fromkeys(theirs, other))


def judge(turn: Turn, sighting: Sighting) -> None:
    """Take in what finished since the last look; cut off where that is enough against the canary."""
    canary, trial = turn.releases.canary, turn.state.trial
    if canary is None or sighting.detail is None or sighting.detail.outcomes is None:
        return
    ours = frozenset(one.name for one in turn.instances.values() if one.spec == canary.release.spec)
    seen, tried, stable = finished(trial.seen, sighting, ours, turn.instances.keys() - ours)
    warm_at = trial.warm_at
    if warm_at is None and _serving(turn, stable=False):
        warm_at = turn.now + turn.policy.canary_warmup_s
        serving = standing(turn)
        turn.tell(
            "canary", canary.release.name, "begun", "serving", f"{serving.share if serving else 0:g} % of the traffic"
        )
    timed = warm_at is not None and turn.now >= warm_at
    evidence = weigh(trial.evidence, tried, stable, timed=timed)
    turn.set(trial=Trial(evidence, seen, warm_at))
    if evidence.fault:
        cut(turn, evidence.fault)


def standing(turn: Turn) -> CanaryStanding | None:
    """What people are shown of the canary; None while there is none."""
    canary, trial = turn.releases.canary, turn.state.trial
    if canary is None:
        return None
    ours, theirs = _serving(turn, stable=False), _serving(turn, stable=True)
    pair = tuple(next((turn.instances[name].weight for name in one), 0) for one in (ours, theirs))
    errors, times = trial.evidence.against
    return CanaryStanding(
        release=canary.release.name,
        spec=canary.release.spec,
        wanted=canary.share,
        share=round(100 * share_of((pair[0], pair[1]), len(ours), len(theirs)), 1),
        sticky=canary.sticky,
        since=canary.since,
        serving=len(ours),
        deaths=canary.deaths,
        canary=_told(trial.evidence.canary),
        stable=_told(trial.evidence.stable),
        errors=round(errors, 2),
        times=round(times, 2),
        warm=trial.warm_at is not None and turn.now >= trial.warm_at,
    )


def _told(trials: Trials) -> SetStanding:
    return SetStanding(trials.finished, trials.errors, round(trials.mean_ms, 1))


def _canaries(turn: Turn, canary: Canary) -> list[Instance]:
    return [one for one in turn.instances.values() if one.spec == canary.release.spec and one.phase in CAPACITY]


def _serving(turn: Turn, *, stable: bool) -> list[str]:
    canary = turn.releases.canary
    spec = canary.release.spec if canary else ""
    return [one.name for one in turn.instances.values() if one.phase is Phase.SERVING and (one.spec != spec) is stable]


def _set_weights(turn: Turn, wanted: dict[str, int]) -> None:
    changed = [turn.instances[name] for name, weight in wanted.items() if turn.instances[name].weight != weight]
    for instance in changed:
        turn.put(replace(instance, weight=wanted[instance.name]))
    if changed:
        turn.moved.append("weights")


def _release(turn: Turn, instance: Instance, reason: str) -> None:
    signal = Signal.CANCELLED if instance.phase in ORDERED and not instance.unlisted else Signal.RELEASED
    turn.move(instance.name, signal, reason)


def _number(turn: Turn, instance: Instance) -> int:
    return instance_number(turn.policy.app, instance.name) or 0
