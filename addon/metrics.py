"""What the mitmproxy plane tells Prometheus, beside what every plane does: how long requests took, and crashes."""

from __future__ import annotations

from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily

from fleet.exporter import exporting
from fleet.plane_metrics import PlaneMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import Metric

    from addon.capture import Capture
    from addon.counter import Token
    from addon.plane import Plane
    from fleet.presence import Presence
    from fleet.settings import Settings

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
WEBSOCKET = 101


class Durations:
    """An observer of a plane: how long requests took, from their head to their end."""

    def __init__(self) -> None:
        self.histogram = Histogram(
            "stoker_proxy_request_duration_seconds",
            "From a request's head to its end, time held included; websockets are left out.",
            registry=None,
            buckets=BUCKETS_S,
        )

    def __call__(self, token: Token, status: int) -> None:
        """A request ended now."""
        if status != WEBSOCKET:
            self.histogram.observe(monotonic() - token.started_s)


@contextmanager
def exported(
    settings: Settings, plane: Plane, presence: Presence, capture: Capture, say: Callable[[str], None]
) -> Iterator[None]:
    """Tell until the end of the block, where the settings name a port; nothing is measured where they do not."""
    port = settings.metrics.mitmproxy_port
    if port is None:
        yield
        return
    durations = Durations()

    def more() -> Iterator[Metric]:
        yield from durations.histogram.collect()
        yield CounterMetricFamily("stoker_proxy_crashes", "Requests that failed at a backend.", capture.noted)
        yield CounterMetricFamily("stoker_proxy_crashes_lost", "Crashes not written down.", capture.lost)

    plane.observers += (durations,)
    source = PlaneMetrics(presence, more, lambda: plane.draining)
    try:
        with exporting(settings, "mitmproxy", port, source, say):
            yield
    finally:
        plane.observers = tuple(one for one in plane.observers if one is not durations)
