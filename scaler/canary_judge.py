"""Whether a canary is worse than the stable set: tests on counts that stay honest however often they are asked.

Each look at the proxies gives, for both sets, how many requests finished and how many of those failed. A look is one
bet against "both sets fail at the same rate": for an alternative (p, q) the stake is multiplied by the likelihood of
what was seen under the alternative, divided by that under the pooled rate (n p + m q) / (n + m). The factor's mean is
at most 1 whatever the common rate is, and however it moves from look to look (Turner, Ly and Gruenwald, "Generic
E-variables for exact sequential k-sample tests", 2021), so a database that fails both sets at once is no evidence.
The stakes of looks begun at every moment are summed as Shiryaev and Roberts do: M <- (M + 1) * factor, so that long
good times weigh nothing against what happens now (Shin, Ramdas and Rinaldo, "E-detectors", 2023). The sum's mean after
n looks is at most n: it reaches `LIMIT` by chance in at most n of `LIMIT` cases.

Times are judged by signs: after every `REQUESTS_A_SIGN` requests of the canary, was its mean time `SLOWER` times the
stable set's? Among equal sets, of which the canary is not the larger, at most half of the signs say so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, log, log1p

# At one look a second the chance of a false alarm is at most 0.9 % a day, for each of the two tests.
LIMIT = 1e7
# By how much the canary's share of failures may exceed the stable set's, as the bets see it; each has an equal stake.
EXCESS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
# What is believed of the stable set before anything was seen: one failure in a hundred requests.
PRIOR_ERRORS, PRIOR_FINISHED = 1.0, 100.0
SLOWER = 1.5
SLOWER_BY_MS = 5.0
REQUESTS_A_SIGN = 30
STAKE = 0.8


@dataclass(frozen=True, slots=True)
class Trials:
    """Requests of one set that finished: how many, how many of them failed, and their summed time."""

    finished: int = 0
    errors: int = 0
    busy_ms: float = 0.0

    def __add__(self, other: Trials) -> Trials:
        """Both together."""
        return Trials(self.finished + other.finished, self.errors + other.errors, self.busy_ms + other.busy_ms)

    @property
    def mean_ms(self) -> float:
        """The mean time; 0 where nothing finished."""
        return self.busy_ms / self.finished if self.finished else 0.0

    @property
    def error_rate(self) -> float:
        """The share that failed; 0 where nothing finished."""
        return self.errors / self.finished if self.finished else 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of a canary so far.

    `failing` holds the logarithm of M for each of `EXCESS`, `slow` that of the signs, None before the first.
    `canary_unsigned` and `stable_unsigned` are the requests since the last sign.
    """

    canary: Trials = Trials()
    stable: Trials = Trials()
    failing: tuple[float | None, ...] = (None,) * len(EXCESS)
    slow: float | None = None
    canary_unsigned: Trials = Trials()
    stable_unsigned: Trials = Trials()

    @property
    def against(self) -> tuple[float, float]:
        """How far the evidence by errors and that by times are on the way to a cut, from 0 to 1, on a log scale."""
        errors, times = _mixture(self.failing), self.slow if self.slow is not None else 0.0
        return min(1.0, max(0.0, errors / log(LIMIT))), min(1.0, max(0.0, times / log(LIMIT)))

    @property
    def fault(self) -> str:
        """Why the canary is to be cut off, in one line; "" while nothing speaks against it."""
        if _mixture(self.failing) >= log(LIMIT):
            return (
                f"errors: {self.canary.error_rate:.1%} of {self.canary.finished} requests of the canary,"
                f" {self.stable.error_rate:.1%} of {self.stable.finished} of the stable set"
            )
        if self.slow is not None and self.slow >= log(LIMIT):
            return (
                f"latency: {self.canary.mean_ms:.0f} ms at the mean of {self.canary.finished} requests of the canary,"
                f" {self.stable.mean_ms:.0f} ms of the stable set"
            )
        return ""


def weigh(evidence: Evidence, canary: Trials, stable: Trials, *, timed: bool = True) -> Evidence:
    """The evidence after one more look, which saw these requests finish since the look before.

    Without `timed` their times say nothing: a canary that has just begun is slow for other reasons.
    """
    failing = evidence.failing
    if canary.finished and stable.finished:
        rate = (evidence.stable.errors + PRIOR_ERRORS) / (evidence.stable.finished + PRIOR_FINISHED)
        failing = tuple(
            _restaked(before, _failing_factor(canary, stable, rate, excess))
            for before, excess in zip(failing, EXCESS, strict=True)
        )
    seen = replace(
        evidence,
        canary=evidence.canary + canary,
        stable=evidence.stable + stable,
        failing=failing,
        canary_unsigned=evidence.canary_unsigned + canary if timed else Trials(),
        stable_unsigned=evidence.stable_unsigned + stable if timed else Trials(),
    )
    return _signed(seen)


def _failing_factor(canary: Trials, stable: Trials, rate: float, excess: float) -> float:
    """The logarithm of one bet's factor; `rate` is what was seen of the stable set before this look."""
    stable_rate = min(max(rate, 1e-4), 0.98)
    canary_rate = min(stable_rate + excess, 0.99)
    pooled = (canary.finished * canary_rate + stable.finished * stable_rate) / (canary.finished + stable.finished)
    return (
        canary.errors * log(canary_rate / pooled)
        + (canary.finished - canary.errors) * log((1 - canary_rate) / (1 - pooled))
        + stable.errors * log(stable_rate / pooled)
        + (stable.finished - stable.errors) * log((1 - stable_rate) / (1 - pooled))
    )


def _signed(evidence: Evidence) -> Evidence:
    """One more sign, once enough requests of the canary finished since the last."""
    canary, stable = evidence.canary_unsigned, evidence.stable_unsigned
    if canary.finished < REQUESTS_A_SIGN or stable.finished < canary.finished:
        return evidence
    slower = canary.mean_ms > max(SLOWER * stable.mean_ms, stable.mean_ms + SLOWER_BY_MS)
    factor = log(1 + STAKE) if slower else log(1 - STAKE)
    return replace(evidence, slow=_restaked(evidence.slow, factor), canary_unsigned=Trials(), stable_unsigned=Trials())


def _restaked(before: float | None, factor: float) -> float:
    """log((M + 1) * factor) from log M and log factor; None stands for M = 0."""
    if before is None:
        return factor
    return factor + (before + log1p(exp(-before)) if before > 0 else log1p(exp(before)))


def _mixture(logs: tuple[float | None, ...]) -> float:
    """The logarithm of the stakes' mean."""
    known = [one for one in logs if one is not None]
    if not known:
        return float("-inf")
    top = max(known)
    return top + log(sum(exp(one - top) for one in known) / len(logs))
