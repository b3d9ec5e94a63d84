"""How each fault is done to a stage, and what of it the checker has to know."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from fleet.errors import StoreUnavailableError
from fleet.registry import Order, OrderKind
from fleet.store.opening import open_desk
from tests.chaos.live.part import PATIENCE_S, until
from tests.chaos.live.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.chaos.live.part import Part
    from tests.chaos.live.plan import Fault

BALLAST = "ballast"


@dataclass(frozen=True, slots=True)
class Done:
    """A fault as it was done; moments are the machine's monotonic clock. `target` is a name of what it hit."""

    kind: str
    target: str
    at: float
    until: float


@dataclass(slots=True)
class Faults:
    """Does faults to one stage. `kills` are the moments at which instances were killed, by name."""

    stage: Stage
    rng: Random
    done: list[Done] = field(default_factory=list)
    kills: dict[str, float] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)

    async def do(self, fault: Fault) -> None:
        """Do it, wait, and undo it. What is under another fault already is left alone."""
        target = self._resolved(fault)
        where = "store" if fault.kind.startswith("store") else target or fault.kind
        if where in self.busy:
            return
        self.busy.add(where)
        began = time.monotonic()
        index = len(self.done)
        self.done.append(Done(fault.kind, target, began, began + fault.lasts_s + 1e9))
        try:
            await self._kinds[fault.kind](target, fault.lasts_s, fault.how)
        finally:
            self.done[index] = Done(fault.kind, target, began, time.monotonic())
            self.busy.discard(where)

    def _resolved(self, fault: Fault) -> str:
        if fault.target not in {"acting", "waiting"}:
            return fault.target
        acting = self.stage.watch.acting
        names = [one.name for one in self.stage.scalers]
        if fault.target == "acting":
            return acting if acting in names else names[0]
        return next((name for name in names if name != acting), names[0])

    @property
    def _kinds(self) -> dict[str, Callable[[str, float, str], Awaitable[None]]]:
        return {
            "kill": self._kill,
            "pause": self._pause,
            "store-down": self._store_down,
            "store-hung": self._store_hung,
            "store-wiped": self._store_wiped,
            "store-old": self._store_old,
            "store-slow": self._store_slow,
            "cut": self._cut,
            "reboot": self._reboot,
            "instance-killed": self._instance_killed,
            "instance-mute": self._instance_mute,
            "outage": self._outage,
            "proxy-killed": self._proxy_killed,
            "proxy-restart": self._proxy_restart,
            "agent-killed": self._agent_killed,
            "proxy-noack": self._proxy_noack,
            "clock-step": self._clock_step,
            "disk-full": self._disk_full,
            "scale": self._scale,
            "paused": self._paused,
        }

    async def _kill(self, target: str, lasts_s: float, _: str) -> None:
        part = self.stage.part(target)
        part.kill()
        await asyncio.sleep(lasts_s)
        self.stage.start_scaler(part)

    async def _pause(self, target: str, lasts_s: float, _: str) -> None:
        await self._stopped(self.stage.part(target), lasts_s)

    async def _stopped(self, part: Part, lasts_s: float) -> None:
        part.pause()
        await asyncio.sleep(lasts_s)
        part.resume()

    async def _store_down(self, _: str, lasts_s: float, __: str) -> None:
        self.stage.server.part.kill()
        await asyncio.sleep(lasts_s)
        await self.stage.server.start()

    async def _store_hung(self, _: str, lasts_s: float, __: str) -> None:
        await self._stopped(self.stage.server.part, lasts_s)

    async def _store_wiped(self, _: str, __: float, ___: str) -> None:
        self.stage.server.wipe()

    async def _store_old(self, _: str, lasts_s: float, __: str) -> None:
        """Back comes what was there some seconds ago."""
        server = self.stage.server
        server.keep()
        await asyncio.sleep(self.rng.uniform(3, 10))
        server.part.kill()
        await asyncio.sleep(lasts_s)
        server.back()
        await server.start()

    async def _store_slow(self, _: str, lasts_s: float, how: str) -> None:
        for link in self.stage.links.values():
            link.delay_s = float(how)
        await asyncio.sleep(lasts_s)
        for link in self.stage.links.values():
            link.delay_s = 0.0

    async def _cut(self, target: str, lasts_s: float, _: str) -> None:
        link = self.stage.links[target]
        link.cut()
        await asyncio.sleep(lasts_s)
        link.mend()

    async def _reboot(self, _: str, __: float, ___: str) -> None:
        for name, pid in self.stage.instances().items():
            self._end(name, pid)

    async def _instance_killed(self, _: str, __: float, ___: str) -> None:
        running = self.stage.instances()
        if running:
            name = self.rng.choice(sorted(running))
            self._end(name, running[name])

    def _end(self, name: str, pid: int) -> None:
        self.kills[name] = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    async def _instance_mute(self, _: str, lasts_s: float, __: str) -> None:
        running = self.stage.instances()
        if not running:
            return
        pid = running[self.rng.choice(sorted(running))]
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(lasts_s)
            os.kill(pid, signal.SIGCONT)

    async def _outage(self, _: str, lasts_s: float, __: str) -> None:
        path = self.stage.record / "outage"
        path.touch()
        await asyncio.sleep(lasts_s)
        path.unlink()

    async def _proxy_killed(self, target: str, lasts_s: float, _: str) -> None:
        plane = self.stage.plane(target)
        plane.front.kill()
        await asyncio.sleep(lasts_s)
        await self.stage.start_plane(plane)

    async def _proxy_restart(self, target: str, lasts_s: float, _: str) -> None:
        plane = self.stage.plane(target)
        # HAProxy waits for its clients' idle connections, which stay open for haproxy.keep_alive_timeout_s.
        how = (signal.SIGTERM, PATIENCE_S) if plane.kind == "mitmproxy" else (signal.SIGUSR1, PATIENCE_S + 60.0)
        await plane.front.end(*how)
        await asyncio.sleep(lasts_s)
        await self.stage.start_plane(plane)

    async def _agent_killed(self, target: str, lasts_s: float, _: str) -> None:
        agent = self.stage.plane(target).agent
        assert agent is not None
        agent.kill()
        await asyncio.sleep(lasts_s)
        agent.start()

    async def _proxy_noack(self, target: str, lasts_s: float, _: str) -> None:
        plane = self.stage.plane(target)
        await self._stopped(plane.agent or plane.front, lasts_s)

    async def _clock_step(self, target: str, _: float, how: str) -> None:
        """The offset stays: a clock that was wrong was set right."""
        self.stage.clocks[target].write_text(f"{how}s\n", encoding="ascii")

    async def _disk_full(self, _: str, lasts_s: float, __: str) -> None:
        ballast = self.stage.state.parent / BALLAST
        with (self.stage.state.parent / BALLAST).open("wb") as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(65536))
        await asyncio.sleep(lasts_s)
        ballast.unlink()

    async def _scale(self, _: str, lasts_s: float, how: str) -> None:
        await self._ordered(Order(OrderKind.SCALE, int(how)), Order(OrderKind.AUTO), lasts_s)

    async def _paused(self, _: str, lasts_s: float, __: str) -> None:
        await self._ordered(Order(OrderKind.PAUSE), Order(OrderKind.RESUME), lasts_s)

    async def _ordered(self, first: Order, then: Order, lasts_s: float) -> None:
        desk = open_desk(self.stage.settings)
        with contextlib.closing(desk), contextlib.suppress(StoreUnavailableError):
            await asyncio.to_thread(desk.place, first)
            await asyncio.sleep(lasts_s)
            await until(self.stage.server.answers, "the server answers")
            await asyncio.to_thread(desk.place, then)
