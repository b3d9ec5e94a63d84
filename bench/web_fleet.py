"""A fleet as its parts would write it into a real Valkey, and the page's server as a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.backend import Backend, Phase
from fleet.clock import Clock
from fleet.registry import BackendCounters, Change, Happening, Lease, ProxyReading, Summary
from fleet.settings import Settings
from fleet.store.opening import open_noticeboard, open_registry
from fleet.store.scaler_side import RedisRegistry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


REPORT_S = 0.5
CHANGE_S = 2.0


@dataclass(slots=True)
class Pretender:
    """Scaler and proxy in one: it reports twice a second, and every other second an instance changes its phase."""

    settings: Settings
    backends: int
    clock: Clock = field(default_factory=Clock)
    lease: Lease | None = None
    generation: int = 0
    held: int = 0
    changes: count[int] = field(default_factory=count)
    _registry: RedisRegistry = field(init=False)
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._registry, self._began = open_registry(self.settings), self.clock.now()

    def publish(self, odd: Phase | None = None, weight: int = 100) -> None:
        """All serve, but for the last one where a phase is given; the weight is the first one's."""
        registry = self._registry
        if self.lease is None or not registry.renew(self.lease):
            self.lease = registry.acquire("bench")
        assert self.lease is not None
        phases = {self.backends: odd} if odd else {}
        entries = {
            f"web{number}": Backend(
                f"web{number}",
                phases.get(number, Phase.SERVING),
                f"http://127.0.0.1:{20_000 + number}",
                weight=weight if number == 1 else 100,
                since=self._began,
                spec="5ad0c3f1b2e9",
            )
            for number in range(1, self.backends + 1)
        }
        told = Happening(
            self.clock.now(), "decision", "web", "1", str(next(self.changes)), ("31.0 rps at target 10", "panic")
        )
        summary = Summary("UP", self.backends, reasons=("31.0 rps at target 10",))
        self.generation = registry.publish(self.lease, Change(entries, self.backends, summary, (told,)))

    def reading(self, look: int, uptime_s: float) -> ProxyReading:
        """Every backend's requests in flight change with each look."""
        counters = {
            f"web{number}": BackendCounters(look, in_flight=(look * 7 + number) % 9, total_ms=12.5)
            for number in range(1, self.backends + 1)
        }
        return ProxyReading(
            "proxy", "bench", round(uptime_s * 1000), self.generation, look * 20, in_flight=look % 50, held=self.held,
            backends=counters,
        )  # fmt: skip

    async def run(self, *, changing: bool = True) -> None:
        """Until it is cancelled."""
        board, began, told = open_noticeboard(self.settings), time.monotonic(), 0.0
        for look in count(1):
            now = time.monotonic() - began
            if now - told >= CHANGE_S and changing:
                told = now
                self.publish(Phase.DRAINING if look % 2 else None)
            elif self.lease is not None:
                self._registry.renew(self.lease)
            await board.report(self.reading(look, now))
            await asyncio.sleep(REPORT_S)


@dataclass(frozen=True, slots=True)
class Page:
    """A running `stoker web`."""

    pid: int
    port: int

    def cpu_s(self) -> float:
        """Its processor time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def stoker_web(settings: Settings, port: int) -> AsyncGenerator[Page]:
    """Until the end of the block."""
    url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    variables = {"STOKER_REDIS_URL": url, "STOKER_FLEET": settings.fleet, "STOKER_APP": settings.app}
    argv = [sys.executable, "-P", "-m", "stoker", "web", "--port", str(port)]
    process = await asyncio.create_subprocess_exec(*argv, env=dict(os.environ) | variables)
    try:
        for _ in range(200):
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.05)
        yield Page(process.pid, port)
    finally:
        process.terminate()
        await process.wait()
