"""When a proxy's own rate jumps: the scaler is woken then, instead of finding it at its next tick. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleet.registry import ProxyReading

TIMES = 2.0
# Fewer arrivals than this between two reports double by chance.
ARRIVALS = 10
# Reports closer together say too little about a rate.
GAP_MS = 250
REMEMBERED = 8


class Surge:
    """Compares the rate since the last report with the mean of those before, some seconds in all."""

    def __init__(self) -> None:
        self._series = ""
        self._points: deque[tuple[int, int]] = deque(maxlen=REMEMBERED + 1)

    def noticed(self, reading: ProxyReading) -> bool:
        """Whether this reading ends an interval of at least twice the rate before it."""
        if reading.series != self._series:
            self._series = reading.series
            self._points.clear()
        if self._points and reading.uptime_ms - self._points[-1][0] < GAP_MS:
            return False
        points = list(self._points)
        self._points.append((reading.uptime_ms, reading.arrivals))
        if len(points) < 2:
            return False
        (first_ms, first), (last_ms, last) = points[0], points[-1]
        arrivals = reading.arrivals - last
        usual = (last - first) / (last_ms - first_ms)
        return arrivals >= ARRIVALS and arrivals / (reading.uptime_ms - last_ms) >= TIMES * usual
