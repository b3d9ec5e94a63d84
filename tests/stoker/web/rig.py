"""The page's real server over a store in memory, or another; and a small fleet to show on it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fleet.backend import Backend, Phase
from fleet.clock import Clock
from fleet.memory import MemoryStore
from fleet.memory_crashes import MemoryCrashes
from fleet.registry import BackendCounters, Change, Happening, Lease, ProxyReading, Summary
from stoker.web.board import Board
from stoker.web.running import Server, assembled, serve

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from fleet.settings import Settings


@dataclass(slots=True)
class Served:
    """A page under test."""

    server: Server
    board: Board
    address: str


@asynccontextmanager
async def served(settings: Settings, staged: Staged, port: int = 0) -> AsyncGenerator[Served]:
    """Serve it until the end of the block."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        server, watch = assembled(settings, lambda: staged.store, lambda: staged.crashes)
        async with asyncio.TaskGroup() as group:
            group.create_task(serve(server, watch, listener))
            living = group.create_task(staged.live())
            try:
                yield Served(server, watch.board, f"http://127.0.0.1:{listener.getsockname()[1]}")
            finally:
                living.cancel()
                server.end()


def backend(number: int, phase: Phase = Phase.SERVING, **changes: object) -> Backend:
    since = Clock().now() - 600 + number
    given = {"url": f"http://127.0.0.1:{20_000 + number}", "host": "alpha", "since": since, "spec": "5ad0c3f1b2e9"}
    return Backend(f"production{number}", phase, **(given | changes))  # type: ignore[arg-type]


def reading(generation: int, arrivals: int, uptime_s: float, **changes: object) -> ProxyReading:
    given = {"in_flight": 3, "held": 0, "completions": arrivals}
    return ProxyReading("proxy-a", "s1", int(uptime_s * 1000), generation, arrivals, **(given | changes))  # type: ignore[arg-type]


@dataclass(slots=True)
class Staged:
    """A fleet as a scaler and a proxy would write it."""

    store: MemoryStore = field(default_factory=lambda: MemoryStore(Clock().now))
    crashes: MemoryCrashes = field(default_factory=lambda: MemoryCrashes(Clock().now))
    rps: int = 0
    failing: int = 0
    _lease: Lease | None = None
    _reported: ProxyReading | None = None

    @property
    def lease(self) -> Lease:
        """Held by a scaler of this test."""
        if self._lease is None or not self.store.renew(self._lease):
            self._lease = self.store.acquire("scaler-a")
        assert self._lease is not None
        return self._lease

    async def live(self) -> None:
        """Go on holding the lease and reporting, as the living do."""
        while True:
            await asyncio.sleep(0.5)
            if self.store.outage is None and self._lease is not None:
                self.store.renew(self._lease)
            if self.store.outage is None and self._reported is not None:
                before = self._reported
                arrivals, errors = before.arrivals + self.rps // 2, before.errors_5xx + self.failing
                self._reported = replace(before, uptime_ms=before.uptime_ms + 500, arrivals=arrivals, errors_5xx=errors)
                await self.store.report(self._reported)

    def publish(self, backends: Iterable[Backend], *told: Happening, **shown: object) -> int:
        """Publish these; what is desired is how many of them are capacity, unless it is said otherwise."""
        found = {one.name: one for one in backends}
        capacity = sum(one.phase in {Phase.SERVING, Phase.WARMING, Phase.STARTING} for one in found.values())
        summary = Summary(**({"state": "UP", "desired": capacity, "reasons": ("12.0 rps at target 10",)} | shown))  # type: ignore[arg-type]
        return self.store.publish(self.lease, Change(found, len(found), summary, told))

    async def report(self, generation: int, arrivals: int = 100, uptime_s: float = 60.0, **changes: object) -> None:
        """What a proxy reports."""
        counters = {name: BackendCounters(10, in_flight=2) for name in ("production1", "production2")}
        self._reported = reading(generation, arrivals, uptime_s, backends=counters, **changes)
        await self.store.report(self._reported)


def happening(kind: str, before: str = "", after: str = "", *reasons: str, subject: str = "production") -> Happening:
    return Happening(Clock().now(), kind, subject, before, after, reasons)
