"""Simulated time: things happen in order, those of one moment in the order in which they were arranged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush


@dataclass(slots=True)
class Timeline:
    """A heap of what is to come; `now` is the true time, which nobody in the world can step."""

    now: float = 0.0
    _heap: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _count: int = 0

    def at(self, when: float, happen: Callable[[], None]) -> None:
        """Let it happen then, or now where that is over."""
        self._count += 1
        heappush(self._heap, (max(self.now, when), self._count, happen))

    def after(self, seconds: float, happen: Callable[[], None]) -> None:
        """Let it happen so much later, which is never less than nothing."""
        self._count += 1
        heappush(self._heap, (self.now + seconds, self._count, happen))

    def run(self, until: float) -> None:
        """Let everything up to that time happen."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, happen = heappop(heap)
            happen()
        self.now = until
