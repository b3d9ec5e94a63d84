"""How the requests of a simulated run end, by backend, while a canary is tried: by chance that repeats."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import log
from random import Random
from typing import TYPE_CHECKING

from fleet.backend import Phase
from fleet.registry import BackendCounters
from scaler.course import Course

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet.backend import Backend

# The times of one request spread by as much as their mean.
SPREAD = 1.0


def _chance() -> Random:
    return Random(0)  # noqa: S311  # a simulation


@dataclass(slots=True)
class SimulatedOutcomes:
    """Monotonic counters by backend; the requests are divided by the weights in the registry."""

    course: Course
    _counters: dict[str, BackendCounters] = field(default_factory=dict)
    _random: Random = field(default_factory=_chance)
    _rest: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random.seed(self.course.seed)

    def add(self, registry: Mapping[str, Backend], arrivals: float) -> None:
        """So many more requests have come and gone."""
        serving = [one for one in registry.values() if one.phase is Phase.SERVING]
        if not any(one.canary for one in serving):
            return
        weight = sum(one.weight for one in serving) or 1
        for one in serving:
            due = self._rest.get(one.name, 0.0) + arrivals * one.weight / weight
            count = int(due)
            self._rest[one.name] = due - count
            self._counters[one.name] = self._after(one, count)

    def counters(self, name: str) -> BackendCounters:
        """Those of one backend."""
        return self._counters.get(name, BackendCounters())

    def _after(self, backend: Backend, count: int) -> BackendCounters:
        course, before = self.course, self.counters(backend.name)
        rate = course.canary_errors if backend.canary else course.errors
        mean_ms = 1000 * course.answer_s * (course.canary_slower if backend.canary else 1.0)
        spread = SPREAD * mean_ms * count**0.5
        busy_ms = max(0.0, self._random.gauss(count * mean_ms, spread)) if count else 0.0
        return replace(
            before,
            arrivals=before.arrivals + count,
            errors=before.errors + self._failed(count, rate),
            busy_ms=before.busy_ms + round(busy_ms),
        )

    def _failed(self, count: int, rate: float) -> int:
        """How many of so many fail: from failure to failure, as many draws as there are failures."""
        if rate <= 0 or rate >= 1:
            return count if rate >= 1 else 0
        failed, at = 0, int(log(1 - self._random.random()) / log(1 - rate))
        while at < count:
            failed += 1
            at += 1 + int(log(1 - self._random.random()) / log(1 - rate))
        return failed
