"""The traffic of a simulated run, as its proxies count it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fleet.backend import Phase
from fleet.registry import BackendCounters, ProxyReading, Sighting, detail_of
from scaler.course import Course, within
from scaler.simulated_hosts import SimulatedHosts
from scaler.simulated_outcomes import SimulatedOutcomes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet.backend import Backend


@dataclass(slots=True)
class SimulatedTraffic:
    """Requests arrive at the course's rate; what the serving instances cannot carry piles up in flight or held."""

    course: Course
    hosts: SimulatedHosts
    _arrivals: float = 0.0
    _backlog: float = 0.0
    _until: float = 0.0
    _refused: dict[str, float] = field(default_factory=dict)
    _draining_since: dict[str, float] = field(default_factory=dict)
    _forgotten: set[str] = field(default_factory=set)
    _outcomes: SimulatedOutcomes = field(init=False)

    def __post_init__(self) -> None:
        self._outcomes = SimulatedOutcomes(self.course)

    def forget(self, proxy: str) -> None:
        """List a silent proxy no longer."""
        self._forgotten.add(proxy)

    def published(self, registry: Mapping[str, Backend], now: float) -> None:
        """Know what drains from now on."""
        for name, backend in registry.items():
            if backend.phase is Phase.DRAINING:
                self._draining_since.setdefault(name, now)

    def look(self, registry: Mapping[str, Backend], now: float, generation: int, *, detail: bool) -> Sighting:
        """What every proxy shows now: the requests since the last look are added up first."""
        serving = [name for name, backend in registry.items() if backend.phase is Phase.SERVING]
        rate, span = self.course.rps(now), now - self._until
        if span > 0:
            self._advance(serving, rate, span, now)
            self._outcomes.add(registry, rate * span)
        faults, proxies = self.course.faults, range(self.course.proxies)
        silent = [number for number, at in faults.proxy_silent if within(now, (at,))] if faults.proxy_silent else []
        readings = tuple(
            self._reading(number, serving, rate, now, generation, detail=detail)
            for number in proxies
            if number not in silent
        )
        missing = tuple(_name(number) for number in proxies if number in silent)
        told = tuple(replace(reading, backends=None) for reading in readings) if detail else readings
        silent_ones = tuple(proxy for proxy in missing if proxy not in self._forgotten)
        return Sighting(told, silent_ones, detail=detail_of(readings, outcomes=True) if detail else None)

    def _advance(self, serving: list[str], rate: float, span: float, now: float) -> None:
        self._until = now
        self._arrivals += rate * span
        self._backlog = max(0.0, self._backlog + (rate - len(serving) * self.course.carries_rps) * span)
        if self.course.faults.crashes:
            for name in serving:
                if self.hosts.dead(name, now):
                    self._refused[name] = self._refused.get(name, 0.0) + rate * span / len(serving)

    def _reading(
        self, number: int, serving: list[str], rate: float, now: float, generation: int, *, detail: bool
    ) -> ProxyReading:
        share = 1 / self.course.proxies
        busy = min(rate, len(serving) * self.course.carries_rps) * self.course.answer_s
        in_flight, held = (busy + self._backlog, 0.0) if serving else (0.0, self._backlog)
        return ProxyReading(
            _name(number),
            "first",
            uptime_ms=round(now * 1000),
            generation=generation,
            arrivals=round(self._arrivals * share),
            refused=sum(int(count * share) for count in self._refused.values()),
            in_flight=round(in_flight * share),
            held=round(held * share),
            leaving=self._leaving(now) if self._draining_since else {},
            backends=self._by_backend(serving, in_flight * share, share) if detail else None,
        )

    def _leaving(self, now: float) -> dict[str, int]:
        span = max(self.course.answer_s, 1e-9)
        return {name: 1 for name, since in self._draining_since.items() if now - since < span}

    def _by_backend(self, serving: list[str], in_flight: float, share: float) -> dict[str, BackendCounters]:
        each = int(in_flight) // len(serving) if serving else 0
        found = {}
        for name in serving:
            ended = self._outcomes.counters(name)
            found[name] = BackendCounters(
                arrivals=each + int(ended.arrivals * share),
                errors=int(ended.errors * share),
                refused=int(self._refused.get(name, 0.0) * share),
                in_flight=each,
                busy_ms=int(ended.busy_ms * share),
            )
        return found


def _name(number: int) -> str:
    return f"proxy{number + 1}"
