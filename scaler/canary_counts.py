"""From what the proxies count by backend to what finished in each of two sets since the last look. Pure.

The first sight of a proxy counts nothing; a known one with a new series has begun at 0. A backend that a known series
did not tell of before has begun at 0, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.registry import Outcomes
from scaler.canary_judge import Evidence, Trials

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from fleet.registry import Sighting

NOTHING = Outcomes()


@dataclass(frozen=True, slots=True)
class Seen:
    """What one proxy had told when it was last read."""

    series: str
    outcomes: Mapping[str, Outcomes]


@dataclass(frozen=True, slots=True)
class Trial:
    """What is known of a canary since it began, by this scaler.

    `seen` is by proxy; `warm_at` is when its times begin to count, None until it serves.
    """

    evidence: Evidence = field(default_factory=Evidence)
    seen: Mapping[str, Seen] = field(default_factory=dict)
    warm_at: float | None = None


def finished(
    seen: Mapping[str, Seen], sighting: Sighting, canaries: AbstractSet[str], stable: AbstractSet[str]
) -> tuple[Mapping[str, Seen], Trials, Trials]:
    """What is seen now, and what finished since on the canaries and on the stable ones."""
    told = sighting.detail.outcomes if sighting.detail and sighting.detail.outcomes else {}
    ours, theirs, after = Trials(), Trials(), dict[str, Seen]()
    for reading in sighting.readings:
        now = told.get(reading.id)
        if now is None:
            continue
        known = seen.get(reading.id)
        after[reading.id] = _later(known, Seen(reading.series, now))
        if known is not None:
            before = known.outcomes if known.series == reading.series else {}
            ours += _gained(before, now, canaries)
            theirs += _gained(before, now, stable)
    return {**{name: one for name, one in seen.items() if name in sighting.silent}, **after}, ours, theirs


def _later(known: Seen | None, now: Seen) -> Seen:
    """The furthest that was seen: a gauge read a moment apart from its counter may let `finished` fall for once."""
    if known is None or known.series != now.series:
        return now
    return Seen(now.series, {name: _furthest(known.outcomes.get(name), one) for name, one in now.outcomes.items()})


def _furthest(before: Outcomes | None, now: Outcomes) -> Outcomes:
    if before is None or (now.finished >= before.finished and now.errors >= before.errors):
        return now
    return Outcomes(max(before.finished, now.finished), max(before.errors, now.errors), now.busy_ms)


def _gained(before: Mapping[str, Outcomes], now: Mapping[str, Outcomes], names: AbstractSet[str]) -> Trials:
    gained = errors = busy_ms = 0
    for name in names:
        one = now.get(name)
        if one is not None:
            then = before.get(name, NOTHING)
            gained += max(0, one.finished - then.finished)
            errors += max(0, one.errors - then.errors)
            busy_ms += one.busy_ms - then.busy_ms
    # An error is counted a moment before its request has left: it belongs to one that finishes next.
    return Trials(max(gained, errors), errors, busy_ms)
