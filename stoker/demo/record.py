"""What the demo saw, and what it makes of it: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fleet.registry import Happening

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stoker.demo.load import Ended

LOW_RPS, STEP_RPS, PEAK_RPS = 5.0, 40.0, 60.0
# Parts of the whole time: the step comes, the climb begins, the peak is reached, the fall begins, it is over.
STEP, CLIMB, PEAK, FALL, CALM = 0.12, 0.36, 0.5, 0.6, 0.64


def shape(moment: float, seconds: float) -> float:
    """The demo's load in requests a second: low, a step, a climb, a peak, a fall, and low again."""
    part = moment / seconds
    for begin, end, low, high in (
        (0.0, STEP, LOW_RPS, LOW_RPS),
        (STEP, CLIMB, STEP_RPS, STEP_RPS),
        (CLIMB, PEAK, STEP_RPS, PEAK_RPS),
        (PEAK, FALL, PEAK_RPS, PEAK_RPS),
        (FALL, CALM, PEAK_RPS, LOW_RPS),
    ):
        if part < end:
            return low + (high - low) * (part - begin) / (end - begin)
    return LOW_RPS


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. `content` is what `status_json` gave; `at_s` counts from the load's start."""

    at_s: float
    content: Mapping[str, Any]
    load_rps: float
    sent: int
    failed: int
    p95_s: float | None

    @property
    def serving(self) -> int:
        """Instances that serve, 0 where that is not known."""
        return int(self.content["serving"] or 0)


@dataclass(slots=True)
class Record:
    """The run so far. `started_at` is the clock's time at which the load began."""

    seconds: float
    started_at: float
    samples: list[Sample] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)

    @property
    def serving(self) -> list[tuple[float, float]]:
        """How many served, by moment."""
        return [(sample.at_s, sample.serving) for sample in self.samples]

    @property
    def load(self) -> list[tuple[float, float]]:
        """What was sent a second, by moment."""
        return [(sample.at_s, sample.load_rps) for sample in self.samples]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it. Times are seconds after the load's step; None where it did not happen."""

    sent: int
    faults: Mapping[str, int]
    p95_s: float | None
    decided_s: float | None
    answered_s: float | None
    at_rest: int
    peak: int
    at_end: int

    @property
    def followed(self) -> bool:
        """Up to what the peak needs of instances that carry 20 a second, and at least half of the way down."""
        return self.peak >= max(PEAK_RPS / 20, self.at_rest + 1) and self.at_end <= max(self.peak / 2, self.at_rest)

    @property
    def passed(self) -> bool:
        """No request failed and the fleet followed."""
        return self.followed and not self.faults


def judge(record: Record, ended: Sequence[Ended], first_answers: Mapping[str, float]) -> Verdict:
    """Read the verdict off the record. `first_answers` are the moments of each instance's first answer."""
    step_at = record.started_at + STEP * record.seconds
    before = [sample.serving for sample in record.samples if sample.at_s <= STEP * record.seconds]
    took = sorted(one.ended_at - one.sent_at for one in ended)
    faults: dict[str, int] = {}
    for one in ended:
        if one.fault:
            faults[one.fault] = faults.get(one.fault, 0) + 1
    return Verdict(
        sent=len(ended),
        faults=faults,
        p95_s=took[int(0.95 * (len(took) - 1))] if took else None,
        decided_s=_first(
            step_at,
            (one.at for one in record.happenings if one.kind == "decision" and int(one.after) > int(one.before)),
        ),
        answered_s=_first(step_at, first_answers.values()),
        at_rest=max(before, default=0),
        peak=max((sample.serving for sample in record.samples), default=0),
        at_end=record.samples[-1].serving if record.samples else 0,
    )


def _first(since: float, moments: Iterable[float]) -> float | None:
    return min((moment - since for moment in moments if moment >= since), default=None)
