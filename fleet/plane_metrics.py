"""What a data plane tells Prometheus: what it last reported to the store, and how it stands with that."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from time import monotonic
from typing import TYPE_CHECKING, Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from fleet.exporter import Health
from fleet.exposition import Column

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import Metric

    from fleet.presence import Presence
    from fleet.registry import BackendCounters, ProxyReading

ALIVE_S = 10.0

More = Callable[[], Iterable["Metric"]]


class PlaneMetrics:
    """A Source over a presence, whose reports are never changed once made. `more` is what this plane alone knows."""

    def __init__(self, presence: Presence, more: More = tuple, draining: Callable[[], bool] = bool) -> None:
        self._presence = presence
        self._more = more
        self._draining = draining

    def health(self) -> Health:
        """Whether its loop turns."""
        silent_s = monotonic() - self._presence.turned_s
        if silent_s > ALIVE_S:
            return Health(good=False, why=f"the loop has not turned for {silent_s:.0f} s")
        return Health(good=True, why="the loop turns")

    def readiness(self) -> Health:
        """Whether it knows where requests go; without the store it goes on with what it knows, and stays ready."""
        if self._draining():
            return Health(good=False, why="not ready: it ends")
        if not self._presence.generation:
            return Health(good=False, why="not ready: no snapshot of the fleet is applied yet")
        return Health(good=True, why=f"ready: generation {self._presence.generation} is applied")

    def collect(self) -> Iterator[Metric | Column]:
        """Counters and gauges are at most as old as the last report."""
        presence, reading = self._presence, self._presence.reading
        yield GaugeMetricFamily("stoker_store_reachable", "1 where the store answered last time.", presence.reachable)
        yield GaugeMetricFamily("stoker_proxy_generation", "The generation that is applied.", presence.generation)
        yield GaugeMetricFamily(
            "stoker_proxy_snapshot_age_seconds",
            "Since the store last confirmed what is applied, or since the start.",
            monotonic() - presence.confirmed_s,
        )
        yield GaugeMetricFamily(
            "stoker_proxy_counting", "0 while this plane cannot see its own counters.", reading is not None
        )
        if reading is not None:
            yield from _totals(reading)
            yield from _by_backend(reading.backends or {})
        yield from self._more()


def _totals(reading: ProxyReading) -> Iterator[Metric]:
    yield CounterMetricFamily("stoker_proxy_requests", "Requests that arrived.", reading.arrivals)
    ended = CounterMetricFamily(
        "stoker_proxy_responses", "Requests that ended, by the class of the answer.", labels=("class",)
    )
    ended.add_metric(("4xx",), reading.errors_4xx)
    ended.add_metric(("5xx",), reading.errors_5xx)
    ended.add_metric(("other",), max(0, reading.completions - reading.errors_4xx - reading.errors_5xx))
    yield ended
    yield CounterMetricFamily(
        "stoker_proxy_connections_refused", "Connections that a backend refused.", reading.refused
    )
    yield GaugeMetricFamily("stoker_proxy_in_flight_requests", "Sent to a backend and not ended.", reading.in_flight)
    yield GaugeMetricFamily("stoker_proxy_held_requests", "Waiting for a backend.", reading.held)


BY_BACKEND: tuple[tuple[str, Literal["counter", "gauge"], str, Callable[[BackendCounters], float]], ...] = (
    ("stoker_proxy_backend_requests_total", "counter", "Requests sent there.", attrgetter("arrivals")),
    ("stoker_proxy_backend_errors_total", "counter", "5xx and broken answers.", attrgetter("errors")),
    (
        "stoker_proxy_backend_request_seconds_total",
        "counter",
        "Time that all ended requests took together.",
        lambda one: one.busy_ms / 1000,
    ),
    ("stoker_proxy_backend_in_flight_requests", "gauge", "Not ended there.", attrgetter("in_flight")),
)


def _by_backend(backends: Mapping[str, BackendCounters]) -> Iterator[Column]:
    """Of those that the plane still knows, so that series end with their instance."""
    for name, kind, words, value in BY_BACKEND:
        yield Column(name, kind, words, "backend", {backend: value(one) for backend, one in backends.items()})
