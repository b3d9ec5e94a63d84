"""A world on a heap: traffic shapes, boot times and faults, without waiting; the rest is the production code."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.backend import LOCAL_HOST, Phase
from fleet.registry import BackendCounters, Memory, Order, ProxyReading, Sighting, Snapshot, Summary
from scaler.messages import (
    Adopted,
    Census,
    Count,
    Counted,
    Elected,
    Forget,
    Found,
    Look,
    Ordered,
    Outcome,
    Probed,
    Publish,
    Published,
    Report,
    Start,
    Started,
    StartFailed,
    Stop,
    Stopped,
    Survey,
    Tick,
    Unpublished,
    Watch,
)

if TYPE_CHECKING:
    from fleet.backend import Backend
    from scaler.messages import Effect, Event
    from scaler.state import Policy

PROXY = "simulated"
LEASE_TTL_S = 4.0


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong, by instance name or as (from, until) in seconds."""

    stuck: frozenset[str] = frozenset()
    unstartable: frozenset[str] = frozenset()
    crashes: Mapping[str, float] = field(default_factory=dict)
    sick: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    store_gone: tuple[tuple[float, float], ...] = ()
    proxy_silent: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Course:
    """A simulated run: the traffic (requests a second at a time), how the app behaves, what goes wrong.

    `carries_rps` is what one instance really can answer; what is above it piles up in flight.
    """

    rps: Callable[[float], float]
    until_s: float
    boot_s: float = 10.0
    start_s: float = 0.3
    answer_s: float = 0.05
    carries_rps: float = 20.0
    faults: Faults = field(default_factory=Faults)
    orders: tuple[tuple[float, Order], ...] = ()


class Simulation:
    """The world. `serving_now` and `capacity_now` tell, after each event, what a bench wants to add up."""

    def __init__(self, policy: Policy, course: Course) -> None:
        self.policy = policy
        self.course = course
        self.now = 0.0
        self.registry: Mapping[str, Backend] = {}
        self.summary: Summary | None = None
        self.generation = 0
        self.running: dict[str, float] = {}
        self._heap: list[tuple[float, int, Event]] = []
        self._sequence = 0
        self._arrivals = 0.0
        self._backlog = 0.0
        self._counted_until = 0.0
        self._draining_since: dict[str, float] = {}
        self._later(0.0, Elected(0.0, token=1, sent_at=0.0, act_from=0.0, lease_ttl_s=LEASE_TTL_S))
        self._later(policy.life.tick_s, self._blank_tick(policy.life.tick_s))
        for at, order in course.orders:
            self._later(at, Ordered(at, order))
        for name, at in course.faults.crashes.items():
            self._later(at, Probed(at, name, Outcome.REFUSED, "connection refused"))
            self._later(at + policy.life.probe_warming_s, Probed(at, name, Outcome.REFUSED, "connection refused"))
        for name, (begin, end) in course.faults.sick.items():
            self._probe_sick(name, begin, end)

    def _probe_sick(self, name: str, begin: float, end: float) -> None:
        at = begin
        while at < end:
            self._later(at, Probed(at, name, Outcome.BAD, "status 500"))
            at += self.policy.life.probe_serving_s
        self._later(end, Probed(end, name, Outcome.READY))

    def next_event(self) -> Event | None:
        """The earliest event; ticks are filled in with what the proxies say at that moment."""
        at, _, event = heapq.heappop(self._heap)
        if at > self.course.until_s:
            return None
        self.now = at
        if not isinstance(event, Tick):
            return event
        if not event.detail:
            self._later(at + self.policy.life.tick_s, self._blank_tick(at + self.policy.life.tick_s))
        if self._within(self.course.faults.store_gone):
            return event
        return Tick(at, self._sighting(detail=event.detail), renewed_at=at, detail=event.detail)

    def perform(self, effect: Effect) -> None:
        """Do it in simulated time."""
        match effect:
            case Publish():
                self._publish(effect)
            case Report():
                self.summary = effect.summary
            case Start() | Stop():
                self._act(effect)
            case Look() | Count() | Survey():
                self._later(self.now, self._ask(effect))
            case Watch() | Forget():
                pass

    def _act(self, effect: Start | Stop) -> None:
        if isinstance(effect, Start):
            for placement in effect.placements:
                self._start(placement.name, placement.host)
            return
        self.running.pop(effect.name, None)
        self._later(self.now + self.course.start_s, Stopped(self.now + self.course.start_s, effect.name))

    def _ask(self, effect: Look | Count | Survey) -> Event:
        match effect:
            case Look():
                return Tick(self.now, None, detail=True)
            case Count():
                return Counted(self.now, self._census())
            case Survey():
                snapshot = Snapshot(self.generation, self.registry) if self.generation else None
                return Adopted(self.now, effect.token, self._census(), Memory(snapshot))

    def _later(self, at: float, event: Event) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (at, self._sequence, event))

    def _blank_tick(self, at: float) -> Tick:
        return Tick(at, None)

    def _within(self, spans: tuple[tuple[float, float], ...]) -> bool:
        return any(begin <= self.now < end for begin, end in spans)

    def _publish(self, effect: Publish) -> None:
        if self._within(self.course.faults.store_gone):
            self._later(self.now, Unpublished(self.now, effect.version, "the store is gone"))
            return
        self.registry = effect.change.backends
        self.summary = effect.change.summary
        self.generation += 1
        for name, backend in self.registry.items():
            if backend.phase is Phase.DRAINING:
                self._draining_since.setdefault(name, self.now)
        self._later(self.now, Published(self.now, effect.version, self.generation))

    def _start(self, name: str, host: str) -> None:
        faults, at = self.course.faults, self.now + self.course.start_s
        if name in faults.unstartable:
            self._later(at, StartFailed(at, name, "image not found"))
            return
        self.running[name] = self.now
        self._later(at, Started(at, name, f"http://127.0.0.1:{10_000 + len(self.running)}", host))
        if name in faults.stuck:
            self._later(at, Probed(at, name, Outcome.TIMED_OUT, "no answer within 2 s"))
        else:
            self._later(self.now + self.course.boot_s, Probed(self.now + self.course.boot_s, name, Outcome.READY))

    def _census(self) -> Census:
        gone = {name for name, at in self.course.faults.crashes.items() if at <= self.now}
        found = tuple(
            Found(name, LOCAL_HOST, self.policy.spec, running=name not in gone, exit_code=1 if name in gone else None)
            for name in self.running
        )
        hosts = frozenset({LOCAL_HOST})
        return Census(self.now, found, answered=hosts, hosts=hosts)

    def _sighting(self, *, detail: bool) -> Sighting:
        """The one proxy: arrivals added up since the last look, what is above capacity piling up in flight."""
        serving = [name for name, backend in self.registry.items() if backend.phase is Phase.SERVING]
        span = self.now - self._counted_until
        rate = self.course.rps(self.now)
        if span > 0:
            self._counted_until = self.now
            self._arrivals += rate * span
            self._backlog = max(0.0, self._backlog + (rate - len(serving) * self.course.carries_rps) * span)
        if self._within(self.course.faults.proxy_silent):
            return Sighting((), silent=(PROXY,))
        busy = min(rate, len(serving) * self.course.carries_rps) * self.course.answer_s
        in_flight, held = (round(busy + self._backlog), 0) if serving else (0, round(self._backlog))
        return Sighting(
            (
                ProxyReading(
                    PROXY,
                    "first",
                    uptime_ms=round(self.now * 1000),
                    generation=self.generation,
                    arrivals=round(self._arrivals),
                    in_flight=in_flight,
                    held=held,
                    backends=self._by_backend(serving, in_flight) if detail else None,
                ),
            )
        )

    def _by_backend(self, serving: list[str], in_flight: int) -> Mapping[str, BackendCounters]:
        share = in_flight // len(serving) if serving else 0
        counters = {name: BackendCounters(in_flight=share) for name in serving}
        for name, since in self._draining_since.items():
            counters[name] = BackendCounters(in_flight=int(self.now - since < max(self.course.answer_s, 1e-9)))
        return counters


def steps(*parts: tuple[float, float]) -> Callable[[float], float]:
    """A traffic shape of (rps, until) parts; the last rate goes on."""

    def rps(at: float) -> float:
        return next((rate for rate, until in parts if at <= until), parts[-1][0])

    return rps


def recorded(counts: list[float], bin_s: float) -> Callable[[float], float]:
    """A traffic shape from recorded requests a bin."""
    last = len(counts) - 1

    def rps(at: float) -> float:
        return counts[min(int(at / bin_s), last)] / bin_s

    return rps
