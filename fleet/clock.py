"""The one place that reads a clock: wall time at the start plus monotonic time since, so it never jumps."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds since 1970 that only go forward, whatever is done to the machine's clock after the start."""

    started_wall_s: float = field(default_factory=time.time)  # noqa: TID251
    started_monotonic_s: float = field(default_factory=time.monotonic)

    def now(self) -> float:
        """The present, in seconds; differences are true durations."""
        return self.started_wall_s + (time.monotonic() - self.started_monotonic_s)
