"""The one store of the world, with a door for every scaler: cut, slow, down, wiped, restored, its clock stepped."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from fleet.errors import RefusedError, StoreUnavailableError
from fleet.memory import MemoryStore, Stored
from fleet.registry import PROXY_TTL_S, Detail, Outcomes, Sighting
from tests.chaos.simulated.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fleet.registry import Change, Happening, Lease, Memory, Order, ProxyReading, Snapshot, Summary

Answer = TypeVar("Answer")
Value = TypeVar("Value")
EPOCH_S = 1_800_000_000.0
TIMEOUT_S = 1.0
EVENTS_KEPT = 20
LOOKS_KEPT = 8  # more than wait for their turn in a scaler at once
NOBODY = frozenset[str]()


class Told(NamedTuple):
    """What a proxy tells of single backends: requests in flight, connections refused, requests that ended."""

    flying: Mapping[str, int]
    refused: Mapping[str, float]
    ended: Mapping[str, Outcomes]


class Witness(Protocol):
    """Who is told what the store granted and took."""

    def granted(self, lease: Lease) -> None: ...
    def published(self, lease: Lease, change: Change, generation: int) -> None: ...
    def written(self, lease: Lease, happenings: Sequence[Happening]) -> None: ...


@dataclass(slots=True)
class Server:
    """The store's server. Copies are what a disk or a replica holds."""

    timeline: Timeline
    witness: Witness
    clock_s: float = EPOCH_S
    down_until: float = 0.0
    slow_until: float = 0.0
    delay_s: float = 0.0
    cut_until: dict[str, float] = field(default_factory=dict)
    memory: MemoryStore = field(init=False)
    details: dict[str, Told] = field(default_factory=dict)
    _copies: dict[float, Stored] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.memory = MemoryStore(self.clock)

    def clock(self) -> float:
        """Its own time, which may be stepped."""
        return self.clock_s + self.timeline.now

    def reachable(self, party: str) -> bool:
        now = self.timeline.now
        return now >= self.down_until and (party not in self.cut_until or now >= self.cut_until[party])

    @property
    def delay(self) -> float:
        return self.delay_s if self.timeline.now < self.slow_until else 0.0

    def keep(self, label: float) -> None:
        """Make a copy, to be restored later."""
        self._copies[label] = self.memory.copy()

    def restore(self, label: float) -> None:
        """Come back as another server with that copy."""
        self.memory.restore(self._copies[label], another_server=True)

    def sight(self, *, detail: bool, outcomes: bool) -> Sighting:
        """As MemoryStore.sight, on readings that were stored without their backends, which is cheaper."""
        now, readings, silent, lasting = self.clock(), [], [], []
        stored = self.memory._stored.readings
        for proxy in sorted(stored):
            since, reading = stored[proxy]
            if since <= now < since + PROXY_TTL_S:
                readings.append(reading)
            else:
                silent.append(proxy)
                if reading.outlives_agent:
                    lasting.append(proxy)
        found = self._detail([one.id for one in readings], outcomes=outcomes) if detail else None
        return Sighting(tuple(readings), tuple(silent), (), frozenset(lasting) if lasting else NOBODY, found)

    def _detail(self, proxies: list[str], *, outcomes: bool) -> Detail:
        in_flight, refused = Counter[str](), dict[str, Mapping[str, int]]()
        for proxy in proxies:
            told = self.details[proxy]
            in_flight.update(told.flying)
            if counts := {name: int(count) for name, count in told.refused.items() if count >= 1}:
                refused[proxy] = counts
        ended = {proxy: _whole(self.details[proxy].ended) for proxy in proxies} if outcomes else None
        return Detail({name: count for name, count in in_flight.items() if count}, refused, ended)

    def acquire(self, scaler: str) -> Lease | None:
        lease = self.memory.acquire(scaler)
        if lease is None:
            return None
        self.witness.granted(lease)
        return lease


@dataclass(slots=True)
class Door:
    """A scaler's side: Registry and Meter. `late` is told how long a call took."""

    party: str
    server: Server
    late: Callable[[float], None]
    looks: deque[tuple[float, Sighting]] = field(default_factory=lambda: deque(maxlen=LOOKS_KEPT))  # at the proxies

    def _reach(self) -> Server:
        server, now = self.server, self.server.timeline.now
        if now < server.down_until:
            raise StoreUnavailableError(f"no answer for {self.party}")
        if self.party in server.cut_until and now < server.cut_until[self.party]:
            self.late(TIMEOUT_S)
            raise StoreUnavailableError(f"no answer for {self.party}")
        return server

    def _wait(self) -> None:
        """The call was done; its answer takes its time, or comes too late for anybody to know."""
        if delay_s := self.server.delay:
            self.late(min(delay_s, TIMEOUT_S))
            if delay_s > TIMEOUT_S:
                raise StoreUnavailableError("the answer came too late")

    def _answer(self, answer: Answer) -> Answer:
        if self.server.timeline.now < self.server.slow_until:
            self._wait()
        return answer

    def acquire(self, scaler: str) -> Lease | None:
        return self._answer(self._reach().acquire(scaler))

    def renew(self, lease: Lease) -> bool:
        return self._answer(self._reach().memory.renew(lease))

    def release(self, lease: Lease) -> None:
        self._reach().memory.release(lease)
        self._wait()

    def publish(self, lease: Lease, change: Change) -> int:
        server = self._reach()
        try:
            generation = server.memory.publish(lease, change)
        except RefusedError:
            self._wait()
            raise
        del server.memory._stored.events[:-EVENTS_KEPT]
        server.witness.published(lease, change, generation)
        return self._answer(generation)

    def overwritten(self) -> str:
        return self._answer(self._reach().memory.overwritten())

    def summarise(self, lease: Lease, summary: Summary) -> None:
        self._fenced(lease, self._reach().memory.summarise, summary, ())

    def record(self, lease: Lease, happenings: Sequence[Happening]) -> None:
        self._fenced(lease, self._reach().memory.record, happenings, happenings)
        del self.server.memory._stored.events[:-EVENTS_KEPT]

    def _fenced(
        self, lease: Lease, write: Callable[[Lease, Value], None], told: Value, happenings: Sequence[Happening]
    ) -> None:
        try:
            write(lease, told)
        except RefusedError:
            self._wait()
            raise
        self.server.witness.written(lease, happenings)
        self._answer(None)

    def recall(self) -> Memory:
        return self._answer(self._reach().memory.recall())

    def orders(self, after: str) -> Sequence[Order]:
        return self._answer(self._reach().memory.orders(after))

    def sight(self, *, detail: bool, outcomes: bool = False) -> Sighting:
        server = self._reach()
        sighting = server.sight(detail=detail, outcomes=outcomes)
        self.looks.append((server.timeline.now, sighting))
        return self._answer(sighting)

    def forget(self, lease: Lease, proxy: str) -> None:
        self._fenced(lease, self._reach().memory.forget, proxy, ())

    def remember(self, lease: Lease, proxy: str, *, lasting: bool) -> None:
        self._fenced(lease, partial(self._reach().memory.remember, lasting=lasting), proxy, ())

    def wakes(self) -> Iterator[None]:
        raise NotImplementedError("wakes come through the world")

    def close(self) -> None:
        """Nothing is open."""


def _whole(ended: Mapping[str, Outcomes]) -> Mapping[str, Outcomes]:
    return {name: Outcomes(int(one.finished), int(one.errors), int(one.busy_ms)) for name, one in ended.items()}


@dataclass(slots=True)
class Board:
    """A proxy's side. Calls raise StoreUnavailableError; a slow server counts as one that answers late."""

    party: str
    server: Server

    def _reach(self) -> Server:
        if not self.server.reachable(self.party) or self.server.delay > TIMEOUT_S:
            raise StoreUnavailableError(f"no answer for {self.party}")
        return self.server

    def snapshot(self) -> Snapshot | None:
        return self._reach().memory._stored.snapshot

    def report(self, reading: ProxyReading, told: Told) -> None:
        server = self._reach()
        server.details[reading.id] = told._replace(refused=dict(told.refused)) if told.refused else told
        server.memory._stored.readings[reading.id] = server.clock(), reading

    def leave(self) -> None:
        self._reach().memory._stored.readings.pop(self.party, None)
