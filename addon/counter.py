"""What this proxy counts: its own totals, and per backend what was sent there and has not finished.

A request is counted where its token is: the token is put on one upstream when that is chosen, may be moved once the
connection was refused, and is taken off once, whichever way the request ends.
"""

from __future__ import annotations

import secrets
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.registry import BackendCounters, ProxyReading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mitmproxy.http import HTTPFlow

MEAN_OVER = 1024


class Token:
    """One request under way; `upstream` is None while it is held or when this proxy answers by itself.

    `side` is the set that its client's cookie names, None where it names none. `flow` is kept for the access log only.
    """

    __slots__ = ("client", "dialled", "ended", "flow", "held_s", "side", "started_s", "upstream")

    def __init__(self, client: str, started_s: float) -> None:
        self.client = client
        self.started_s = started_s
        self.upstream: Upstream | None = None
        self.flow: HTTPFlow | None = None
        self.held_s = 0.0
        self.side: bool | None = None
        self.dialled = False
        self.ended = False


class Upstream:
    """A backend as this proxy sends to it: its address, whether new requests may go there, and its counters."""

    __slots__ = (
        "_recent_s",
        "_sum_s",
        "_total_s",
        "address",
        "arrivals",
        "canary",
        "errors",
        "in_flight",
        "name",
        "refused",
        "serving",
        "url",
        "weight",
    )

    def __init__(self, name: str, url: str, address: tuple[str, int]) -> None:
        self.name = name
        self.url = url
        self.address = address
        self.weight = 0
        self.canary = False
        self.serving = False
        self.in_flight = 0
        self.arrivals = 0
        self.errors = 0
        self.refused = 0
        self._recent_s: deque[float] = deque(maxlen=MEAN_OVER)
        self._sum_s = 0.0
        self._total_s = 0.0

    @property
    def total_ms(self) -> float:
        """The mean time of the last 1,024 requests, from choosing the backend to the end."""
        return 1000 * max(self._sum_s, 0.0) / len(self._recent_s) if self._recent_s else 0.0

    def took(self, elapsed_s: float) -> None:
        """Add one request's time to the mean."""
        recent = self._recent_s
        self._total_s += elapsed_s
        self._sum_s += elapsed_s - (recent[0] if len(recent) == MEAN_OVER else 0.0)
        recent.append(elapsed_s)

    def counters(self) -> BackendCounters:
        """As they are reported."""
        return BackendCounters(
            arrivals=self.arrivals,
            errors=self.errors,
            refused=self.refused,
            in_flight=self.in_flight,
            total_ms=round(self.total_ms, 3),
            busy_ms=round(1000 * self._total_s),
        )


@dataclass(slots=True)
class Totals:
    """This proxy's monotonic counters since `series` began."""

    series: str = field(default_factory=lambda: secrets.token_hex(8))
    arrivals: int = 0
    completions: int = 0
    refused: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0

    def answered(self, status: int) -> None:
        """Count one answer by its class."""
        if status >= 500:
            self.errors_5xx += 1
        elif status >= 400:
            self.errors_4xx += 1


@dataclass(frozen=True, slots=True)
class Moment:
    """What a report says beside the counters: who reports, its clock, the generation applied, requests held."""

    id: str
    uptime_ms: int
    generation: int
    held: int


def reading(totals: Totals, upstreams: Iterable[Upstream], moment: Moment) -> ProxyReading:
    """One report, gauges taken now."""
    backends, leaving = dict[str, BackendCounters](), Counter[str]()
    for upstream in upstreams:
        backends[upstream.name] = upstream.counters()
        if upstream.in_flight and not upstream.serving:
            leaving[upstream.name] += upstream.in_flight
    return ProxyReading(
        id=moment.id,
        series=totals.series,
        uptime_ms=moment.uptime_ms,
        generation=moment.generation,
        arrivals=totals.arrivals,
        completions=totals.completions,
        refused=totals.refused,
        errors_4xx=totals.errors_4xx,
        errors_5xx=totals.errors_5xx,
        in_flight=sum(counted.in_flight for counted in backends.values()),
        held=moment.held,
        leaving=leaving,
        backends=backends,
    )
