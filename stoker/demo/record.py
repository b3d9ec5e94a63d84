"""What the demo saw, and what it makes of it: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fleet.registry import Happening

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stoker.demo.load import Ended

CARRIES_RPS = 20.0  # one instance of the sample app
# Parts of the whole time: the step comes, the climb begins, the peak is reached, the fall begins, it is over.
STEP, CLIMB, PEAK, FALL, CALM = 0.12, 0.36, 0.5, 0.6, 0.64


@dataclass(frozen=True, slots=True)
class Shape:
    """The load: low, a step, a climb to the peak, a fall, and low again. `strength` multiplies all of it."""

    seconds: float
    strength: float = 1.0

    @property
    def low_rps(self) -> float:
        """Before the step and at the end: less than one instance carries."""
        return 5.0 * self.strength

    @property
    def step_rps(self) -> float:
        """After the step."""
        return 40.0 * self.strength

    @property
    def peak_rps(self) -> float:
        """The most that comes."""
        return 60.0 * self.strength

    @property
    def step_at_s(self) -> float:
        """When the step comes."""
        return STEP * self.seconds

    def __call__(self, moment: float) -> float:
        """Requests a second at that moment since the start."""
        part, low, step, peak = moment / self.seconds, self.low_rps, self.step_rps, self.peak_rps
        for begin, end, before, after in (
            (0.0, STEP, low, low),
            (STEP, CLIMB, step, step),
            (CLIMB, PEAK, step, peak),
            (PEAK, FALL, peak, peak),
            (FALL, CALM, peak, low),
        ):
            if part < end:
                return before + (after - before) * (part - begin) / (end - begin)
        return low


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

    shape: Shape
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
    peak_rps: float

    @property
    def followed(self) -> bool:
        """Up to what can carry the peak, and at least half of the way down."""
        up = self.peak >= max(self.peak_rps / CARRIES_RPS, self.at_rest + 1)
        return up and self.at_end <= max(self.peak / 2, self.at_rest)

    @property
    def passed(self) -> bool:
        """No request failed and the fleet followed."""
        return self.followed and not self.faults


def judge(record: Record, ended: Sequence[Ended], first_answers: Mapping[str, float]) -> Verdict:
    """Read the verdict off the record. `first_answers` are the moments of each instance's first answer."""
    step_at = record.started_at + record.shape.step_at_s
    before = [sample.serving for sample in record.samples if sample.at_s <= record.shape.step_at_s]
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
        peak_rps=record.shape.peak_rps,
    )


def _first(since: float, moments: Iterable[float]) -> float | None:
    return min((moment - since for moment in moments if moment >= since), default=None)
