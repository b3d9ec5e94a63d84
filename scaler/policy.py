"""How many instances there should be, and why: arithmetic on what was seen. No clock, no I/O, no memory of its own."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING

from fleet.meter import Load

if TYPE_CHECKING:
    from fleet.settings import PolicySettings

ROUNDING = 1e-9  # a need of 3.0000000001 is 3


@dataclass(frozen=True, slots=True)
class Observation:
    """All that a decision rests on.

    `desired` is the decision in force, `serving` what answers now, `ordered` what starts or warms. `panicking` and
    `peak` are the machine's memory of a burst; `recent` is the largest need of the stabilisation time, None where
    there is none. `keep` names what forbids going down now ("" for nothing). `minimum` is the fewest to keep now, None
    for policy.min.
    """

    load: Load | None
    desired: int
    serving: int
    ordered: int
    draining: int = 0
    panicking: bool = False
    peak: int = 0
    recent: int | None = None
    keep: str = ""
    minimum: int | None = None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """`count` is what should be; `burst` says that it is a panic right now.

    `need` is what the load asks for by the short window: the largest within the stabilisation time is where a way
    down stops. The short window forgets a past load at once, so the fleet goes down in few decisions and not step by
    step along the slow average.
    """

    count: int
    need: int
    burst: bool
    reasons: tuple[str, ...]


def recommend(policy: PolicySettings, seen: Observation) -> Recommendation:
    """Decide a count, with one sentence for the load and one for every limit that bit."""
    if seen.load is None:
        reasons = ["no data from any proxy: holding"]
        return Recommendation(
            _bounds(policy, seen, seen.desired, reasons), seen.desired, burst=False, reasons=tuple(reasons)
        )
    rule = _target if policy.kind == "target" else _threshold
    need, rush, burst, reasons = rule(policy, seen, seen.load)
    if seen.load.held and not seen.serving and need < 1:
        need, reasons = 1, [*reasons, f"{seen.load.held} held and nothing serves"]
    count = _not_down_yet(policy, seen, seen.load, need, reasons) if need < seen.desired else need
    count = _step_limits(policy, seen, count, reasons)
    return Recommendation(_bounds(policy, seen, count, reasons), rush, burst, tuple(reasons))


def _target(policy: PolicySettings, seen: Observation, load: Load) -> tuple[int, int, bool, list[str]]:
    """The larger need of the two signals; the panic window's once a burst passed the threshold."""
    calm = _need(policy, load.stable_rps, load.stable_in_flight)
    rush = _need(policy, load.panic_rps, load.panic_in_flight)
    burst = rush >= policy.panic_threshold * max(1, seen.serving)
    panicking = burst or seen.panicking
    if panicking and rush > calm:
        need, reasons = rush, [_why(policy, load.panic_rps, load.panic_in_flight)]
    else:
        need, reasons = calm, [_why(policy, load.stable_rps, load.stable_in_flight)]
    if burst:
        reasons.append(f"panic: {policy.panic_window_s:g} s need {rush:.1f}, {seen.serving} serving")
    if abs(need - seen.desired) <= policy.tolerance * seen.desired:
        if ceil(need - ROUNDING) != seen.desired:
            reasons.append(f"tolerance: within {policy.tolerance:.0%} of {seen.desired}")
        count = seen.desired
    else:
        count = ceil(need - ROUNDING)
    if panicking and count < seen.peak:
        reasons.append(f"panic: not below {seen.peak} until {policy.stable_window_s:g} s without a burst")
        count = seen.peak
    return count, ceil(rush - ROUNDING), burst, reasons


def _need(policy: PolicySettings, rps: float | None, in_flight: float) -> float:
    """How many instances this load fills, not rounded, by the larger of the signals that have a target."""
    by_rps = 0.0 if policy.target_rps is None or rps is None else rps / policy.target_rps
    by_in_flight = 0.0 if policy.target_in_flight is None else in_flight / policy.target_in_flight
    return max(by_rps, by_in_flight)


def _why(policy: PolicySettings, rps: float | None, in_flight: float) -> str:
    """The larger signal and its target, in words."""
    if policy.target_in_flight is not None and (
        policy.target_rps is None or rps is None or in_flight / policy.target_in_flight >= rps / policy.target_rps
    ):
        return f"{in_flight:.1f} in flight at target {policy.target_in_flight:g}"
    return "no rate yet" if rps is None else f"{rps:.1f} rps at target {policy.target_rps:g}"


def _threshold(policy: PolicySettings, seen: Observation, load: Load) -> tuple[int, int, bool, list[str]]:
    """One more above `up_rps` per serving instance, one less when the rest would stay below `down_rps`."""
    rps = load.panic_rps
    if rps is None:
        return seen.desired, seen.desired, False, ["no rate yet"]
    if rps > policy.up_rps * seen.serving:
        text = f"{rps:.1f} rps on {seen.serving} serving is above up_rps {policy.up_rps:g}"
        if seen.ordered:
            return seen.desired, seen.desired, False, [text, "one start at a time"]
        count = max(seen.desired, seen.serving + 1)
        return count, count, False, [text]
    if rps < policy.down_rps * (seen.serving - 1):
        text = f"{rps:.1f} rps on {seen.serving - 1} would be below down_rps {policy.down_rps:g}"
        count = min(seen.desired, seen.serving - 1)
        return count, count, False, [text]
    if load.idle:
        return 0, 0, False, [f"idle for {policy.stable_window_s:g} s"]
    text = f"{rps:.1f} rps on {seen.serving} serving is between down_rps and up_rps"
    return seen.desired, seen.desired, False, [text]


def _not_down_yet(policy: PolicySettings, seen: Observation, load: Load, need: int, reasons: list[str]) -> int:
    """The count where fewer are needed, after everything that forbids or delays going down."""
    if seen.keep:
        reasons.append(f"not down: {seen.keep}")
        return seen.desired
    if not load.full:
        reasons.append(f"not down: no full window of {policy.stable_window_s:g} s yet")
        return seen.desired
    if seen.draining:
        reasons.append(f"not down: {seen.draining} still draining")
        return seen.desired
    count = need
    if seen.recent is not None and seen.recent > count:
        count = min(seen.recent, seen.desired)
        reasons.append(f"stabilisation: {seen.recent} were needed within {_delay_s(policy):g} s")
    near = policy.kind == "target" and seen.desired - count <= policy.tolerance * seen.desired
    if count < seen.desired and near:
        reasons.append(f"tolerance: {count} is within {policy.tolerance:.0%} of {seen.desired}")
        return seen.desired
    if count == 0 and not load.idle:
        reasons.append("not to zero: not idle for the whole window")
        count = min(1, seen.desired)
    return count


def _delay_s(policy: PolicySettings) -> float:
    return policy.stabilisation_s if policy.kind == "target" else policy.stable_window_s


def _step_limits(policy: PolicySettings, seen: Observation, count: int, reasons: list[str]) -> int:
    """One step up is limited by what serves, one step down by what is desired."""
    highest = max(ceil(seen.serving * policy.step_up_factor), seen.serving + policy.step_up_add, seen.desired)
    if count > highest:
        reasons.append(f"step: {count} wanted, at most {highest} from {seen.serving} serving")
        return highest
    lowest = floor(seen.desired / policy.step_down_factor)
    if count < lowest:
        reasons.append(f"step: {count} wanted, at least {lowest} from {seen.desired}")
        return lowest
    return count


def _bounds(policy: PolicySettings, seen: Observation, count: int, reasons: list[str]) -> int:
    if count > policy.max:
        reasons.append(f"max: {count} wanted, {policy.max} allowed")
        return policy.max
    minimum = policy.min if seen.minimum is None else seen.minimum
    if count < minimum:
        reasons.append(f"min: {count} would do, {minimum} are kept")
        return minimum
    return count
