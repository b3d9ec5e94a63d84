"""The whole store in memory, for one process: tests, simulation and shadow runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING

from fleet.errors import RefusedError, StoreUnavailableError
from fleet.registry import (
    LEASE_TTL_S,
    PROXY_TTL_S,
    REPORTED_LIMIT,
    Change,
    Happening,
    Lease,
    Memory,
    Order,
    ProxyReading,
    Sighting,
    Snapshot,
    Status,
    Summary,
    detail_of,
    entry_order,
)
from fleet.release import Releases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence


@dataclass(slots=True)
class Stored:
    """All that a server would hold; a new one is an empty server."""

    snapshot: Snapshot | None = None
    serial: int = 0
    token: int = 0
    foreign: bool = False  # the token is of another server
    holder: tuple[str, int, float] | None = None
    summary: Summary | None = None
    releases: Releases | None = None
    scalers: dict[str, float] = field(default_factory=dict)
    readings: dict[str, tuple[float, ProxyReading]] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    events: list[tuple[str, Happening]] = field(default_factory=list)


@dataclass(slots=True)
class MemoryStore:
    """Implements Registry, Meter, Noticeboard and Desk over one object. `clock` gives the store's time in seconds.

    While `outage` is a reason, every call raises StoreUnavailableError with it.
    """

    clock: Callable[[], float]
    outage: str | None = None
    _stored: Stored = field(default_factory=Stored)
    _woken: threading.Condition = field(default_factory=threading.Condition)
    _wakes: int = 0
    _closed: bool = False
    _listeners: list[tuple[asyncio.AbstractEventLoop, asyncio.Queue[int]]] = field(default_factory=list)

    def wipe(self) -> None:
        """Lose everything, as a server without its data does."""
        self._stored = Stored()

    def copy(self) -> Stored:
        """What a disk or a replica holds at this moment."""
        return _copy(self._stored)

    def restore(self, stored: Stored, *, another_server: bool) -> None:
        """Come back with old data, as the server that it was or as another one."""
        self._stored = replace(_copy(stored), foreign=stored.foreign or another_server)

    def acquire(self, scaler: str) -> Lease | None:
        """Take the lease, or None while another holds it. Also records that this scaler lives."""
        stored = self._reach()
        stored.scalers[scaler] = self.clock()
        if self._holder() is not None:
            self._shorten(stored)
            return None
        settled = stored.token > 0 and not stored.foreign
        stored.token, stored.foreign = self._following(stored.token), False
        stored.holder = scaler, stored.token, self.clock() + LEASE_TTL_S
        return Lease(scaler, stored.token, LEASE_TTL_S, settled)

    def renew(self, lease: Lease) -> bool:
        """Prolong the lease by its ttl; False when it is no longer this holder's."""
        stored = self._reach()
        stored.scalers[lease.scaler] = self.clock()
        if self._holder() != (lease.scaler, lease.token):
            return False
        stored.holder = lease.scaler, lease.token, self.clock() + lease.ttl_s
        return True

    def release(self, lease: Lease) -> None:
        """Give the lease back, so that another need not wait for its end."""
        stored = self._reach()
        stored.scalers.pop(lease.scaler, None)
        if self._holder() == (lease.scaler, lease.token):
            stored.holder = None

    def publish(self, lease: Lease, change: Change) -> int:
        """Write one change atomically and return its generation. Raises RefusedError without the lease."""
        stored = self._fenced(lease)
        reported = (reading.generation for since, reading in stored.readings.values() if self._lives(since))
        previous = stored.snapshot.generation if stored.snapshot else 0
        generation = self._following(max([previous, change.after, *filter(REPORTED_LIMIT.__gt__, reported)]))
        stored.snapshot = Snapshot(generation, dict(change.backends))
        stored.serial = max(stored.serial, change.serial)
        stored.summary = change.summary
        stored.releases = change.releases or stored.releases
        self._record(stored, change.happenings)
        for loop, queue in list(self._listeners):
            loop.call_soon_threadsafe(queue.put_nowait, generation)
        return generation

    def overwritten(self) -> str:
        """Nobody else can write here."""
        self._reach()
        return ""

    def summarise(self, lease: Lease, summary: Summary) -> None:
        """Refresh what status shows, without a new generation. Raises RefusedError without the lease."""
        self._fenced(lease).summary = summary

    def record(self, lease: Lease, happenings: Sequence[Happening]) -> None:
        """Append to the history without a new generation. Raises RefusedError without the lease."""
        self._record(self._fenced(lease), happenings)

    def recall(self) -> Memory:
        """What is stored of the fleet and of the orders in force."""
        stored = self._reach()
        summary = stored.summary
        if summary is None:
            return Memory(stored.snapshot, stored.serial, releases=stored.releases)
        return Memory(
            stored.snapshot,
            stored.serial,
            summary.paused,
            summary.manual,
            summary.desired,
            summary.last_order,
            releases=stored.releases,
        )

    def orders(self, after: str) -> Sequence[Order]:
        """Orders placed after the one of that id, oldest first; "" begins at the oldest kept."""
        orders = self._reach().orders
        if not orders or orders[-1].id == after:
            return ()
        begin = entry_order(after)
        return tuple(order for order in orders if entry_order(order.id) > begin)

    def sight(self, *, detail: bool, outcomes: bool = False) -> Sighting:
        """Every proxy's counters, without their `backends`; with `detail` what those add up to."""
        sighting = self._sighting()
        totals = tuple(replace(reading, backends=None) for reading in sighting.readings)
        return replace(
            sighting, readings=totals, detail=detail_of(sighting.readings, outcomes=outcomes) if detail else None
        )

    def _sighting(self) -> Sighting:
        readings = sorted(self._reach().readings.items())
        silent = {proxy: reading for proxy, (since, reading) in readings if not self._lives(since)}
        return Sighting(
            tuple(reading for _, (since, reading) in readings if self._lives(since)),
            tuple(silent),
            lasting=frozenset(proxy for proxy, reading in silent.items() if reading.outlives_agent),
        )

    def forget(self, lease: Lease, proxy: str) -> None:
        """Drop a silent proxy's entry: nothing waits for it any longer. Raises RefusedError without the lease."""
        self._fenced(lease).readings.pop(proxy, None)

    def remember(self, lease: Lease, proxy: str, *, lasting: bool) -> None:
        """List a silent proxy that the store lost; `lasting`: it outlives its agent. Raises RefusedError likewise."""
        unseen = ProxyReading(proxy, "", 0, 0, 0, outlives_agent=lasting)
        self._fenced(lease).readings.setdefault(proxy, (-inf, unseen))

    def wakes(self) -> Iterator[None]:
        """Yield whenever a proxy holds its first request or an order was placed; ends after `close`."""
        seen = self._wakes
        while True:
            with self._woken:
                self._woken.wait_for(lambda: self._closed or self._wakes > seen)  # noqa: B023  # waits at once
                if self._closed:
                    return
                seen = self._wakes
            yield

    def close(self) -> None:
        """End `wakes`."""
        with self._woken:
            self._closed = True
            self._woken.notify_all()

    async def snapshot(self) -> Snapshot | None:
        """The registry, or None where the store holds no data (which is not an empty fleet)."""
        return self._reach().snapshot

    async def report(self, reading: ProxyReading) -> None:
        """Write this proxy's counters and its sign of life."""
        self._reach().readings[reading.id] = self.clock(), reading

    async def wake(self) -> None:
        """Ask the scaler to look at once, after `report` has shown what is held."""
        self._wake()

    async def leave(self, proxy: str) -> None:
        """Remove this proxy's traces on a clean end."""
        self._reach().readings.pop(proxy, None)

    async def changes(self) -> AsyncIterator[int]:
        """The generations as they are published."""
        self._reach()
        listener = asyncio.get_running_loop(), asyncio.Queue[int]()
        self._listeners.append(listener)
        try:
            while True:
                yield await listener[1].get()
        finally:
            self._listeners.remove(listener)

    async def aclose(self) -> None:
        """Nothing is open."""

    def status(self, known: Snapshot | None = None) -> Status:
        """The whole fleet as the store shows it; `known` would save nothing here."""
        del known
        stored, now, holder = self._reach(), self.clock(), self._holder()
        return Status(
            summary=stored.summary,
            snapshot=stored.snapshot,
            sighting=self._sighting(),
            scalers=tuple((scaler, now - seen) for scaler, seen in stored.scalers.items()),
            acting=holder[0] if holder else None,
            releases=stored.releases,
        )

    def place(self, order: Order) -> str:
        """Leave an order for the acting scaler; returns its id, which comes after the last order carried out."""
        stored = self._reach()
        newest = stored.orders[-1].id if stored.orders else ""
        carried_out = stored.summary.last_order if stored.summary else ""
        placed = self._entry_after(max(newest, carried_out, key=entry_order))
        stored.orders.append(replace(order, id=placed))
        self._wake()
        return placed

    def history(self, after: str, *, wait_s: float) -> Sequence[tuple[str, Happening]]:
        """Happenings after that id, oldest first; does not wait, because whoever adds some runs in this process."""
        del wait_s
        return tuple((entry, one) for entry, one in self._reach().events if entry_order(entry) > entry_order(after))

    def _reach(self) -> Stored:
        if self.outage is not None:
            raise StoreUnavailableError(f"store in memory: {self.outage}")
        return self._stored

    def _fenced(self, lease: Lease) -> Stored:
        stored = self._reach()
        if self._holder() != (lease.scaler, lease.token):
            raise RefusedError(f"the lease is not (or no longer) {lease.scaler}:{lease.token}'s; nothing was written")
        return stored

    def _holder(self) -> tuple[str, int] | None:
        holder = self._stored.holder
        return holder[:2] if holder is not None and self.clock() < holder[2] else None

    def _lives(self, since: float) -> bool:
        """Not where the clock went back and nobody wrote since."""
        return since <= self.clock() < since + PROXY_TTL_S

    def _shorten(self, stored: Stored) -> None:
        """After the clock went back a lease would last too long, and its holder may be dead."""
        if stored.holder is not None and stored.holder[2] > self.clock() + LEASE_TTL_S:
            stored.holder = (*stored.holder[:2], self.clock() + LEASE_TTL_S)

    def _following(self, previous: int) -> int:
        return max(previous + 1, int(self.clock() * 1000))

    def _entry_after(self, newest: str) -> str:
        """The next id of a stream, above its newest though the clock went back, as a server gives it."""
        milliseconds, sequence = entry_order(newest) or (0, 0)
        milliseconds, sequence = max((int(self.clock() * 1000), 0), (milliseconds, sequence + 1))
        return f"{milliseconds}-{sequence}"

    def _record(self, stored: Stored, happenings: Sequence[Happening]) -> None:
        for one in happenings:
            newest = stored.events[-1][0] if stored.events else ""
            stored.events.append((self._entry_after(newest), one))

    def _wake(self) -> None:
        self._reach()
        with self._woken:
            self._wakes += 1
            self._woken.notify_all()


def _copy(stored: Stored) -> Stored:
    return replace(
        stored,
        scalers=dict(stored.scalers),
        readings=dict(stored.readings),
        orders=list(stored.orders),
        events=list(stored.events),
    )
