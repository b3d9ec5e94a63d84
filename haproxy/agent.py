"""The agent beside HAProxy: brings it what the registry says, and the registry what it counts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from fleet.registry import ProxyReading, Snapshot
from fleet.settings import Settings
from haproxy.crashes import Crashes
from haproxy.errors import HaproxyError
from haproxy.keeper import Keeper
from haproxy.model import slots_for, targets_of
from haproxy.render import frame
from haproxy.workers import Workers

if TYPE_CHECKING:
    from haproxy.ledger import Ledger

LOOK_S = 0.5
# While nothing serves, somebody may be waiting to be noticed.
LOOK_WHEN_EMPTY_S = 0.1
DETAIL_S = 1.0
RESYNC_S = 5.0
FILES_S = 10.0
# What was not seen for so long is not reported as if it were the present.
SILENT_S = 2.0
REFUSAL_TIMEOUT_S = 0.5


@dataclass(slots=True)
class Agent:
    """Implements the presence's Plane. `turn` does one look, and whatever that shows to be needed."""

    settings: Settings
    id: str
    workers: Workers
    keeper: Keeper
    ledger_path: Path
    log: Callable[..., None]
    news: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    held_news: bool = False
    generation: int = 0
    crashes: Crashes | None = None
    _snapshot: Snapshot | None = None
    _applied: int = 0
    _serving: frozenset[str] = frozenset()
    _reading: ProxyReading | None = None
    _seen_at: float = field(default_factory=monotonic)
    _held: int = 0
    _told_at: float = 0.0
    _detail_at: float = 0.0
    _resync_at: float = 0.0
    _files_at: float = 0.0
    _trouble: str = ""
    _faults: tuple[str, ...] = ()
    _asking: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def ledger(self) -> Ledger:
        """The sums over all workers."""
        return self.workers.ledger

    def reading(self) -> ProxyReading | None:
        """As of the last look; None when that is too long ago."""
        return self._reading if monotonic() - self._seen_at < SILENT_S else None

    def apply(self, snapshot: Snapshot) -> None:
        """Wanted from now on; applied by the next turn."""
        self._snapshot = snapshot
        if self.crashes is not None:
            self.crashes.know(snapshot)
        self.changed.set()

    async def begin(self) -> None:
        """Meet the workers that run, so that a first report can be made."""
        self.keeper.looked = self._looked
        await self.workers.begin()
        self._found()
        self._sum_up()

    async def run(self) -> None:
        """Turn after turn; ends only by being cancelled."""
        try:
            while True:
                changed = await self._wait()
                try:
                    await self.turn(changed=changed)
                except HaproxyError as error:
                    self._lost(error)
        finally:
            # What came since the last look is kept for the next agent, should HAProxy end before that begins.
            with contextlib.suppress(HaproxyError):
                await self.workers.read_on(detail=True)
            self._sum_up()
            self.workers.close()

    async def turn(self, *, changed: bool) -> None:
        """Look, converge where that is due, and sum up for the next report. Raises HaproxyError."""
        now = monotonic()
        detail = not changed and (now >= self._detail_at or bool(self.workers.busy_slots))
        new_worker = await self.workers.look(detail=detail)
        if detail:
            self._detail_at = now + DETAIL_S
            if self.crashes is not None:
                self.crashes.notice({name: one.errors for name, one in self.ledger.backends.items()})
        if new_worker:
            self._found()
        self._read_files(now)
        if self._snapshot is not None and (changed or new_worker or now >= self._resync_at):
            self._resync_at = now + RESYNC_S
            await self._converge(self._snapshot)
        self._acknowledge()
        self._ask_about_refusals()
        await self.keeper.keep_file()
        self._looked()

    def _looked(self) -> None:
        self._seen_at = monotonic()
        self._sum_up()
        if self._seen_at >= self._told_at + LOOK_S:
            # What was just read is told at once, not when a clock of its own says so.
            self._told_at = self._seen_at - LOOK_S / 10
            self.news.set()

    async def _wait(self) -> bool:
        current = self.workers.current
        empty = current is None or not current.front.active
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_WHEN_EMPTY_S if empty else LOOK_S):
                await self.changed.wait()
        changed = self.changed.is_set()
        self.changed.clear()
        return changed

    async def _converge(self, snapshot: Snapshot) -> None:
        targets, faults = targets_of(snapshot, self.settings.networks)
        if faults != self._faults:
            self._faults = faults
            for fault in faults:
                self.log("not used", fault=fault)
        self._serving = frozenset(target.name for target in targets)
        reloads = self.keeper.reloads.total()
        if await self.keeper.converge(targets, slots_for(self.settings.policy.max)):
            self._applied = snapshot.generation
        else:
            self._resync_at = min(self._resync_at, monotonic() + LOOK_S)
        if self.keeper.reloads.total() != reloads:
            # A change that was made while the new worker was starting went to the old one.
            self.changed.set()
        elif self.workers.current is not None:
            await self.workers.read_on(detail=True)

    def _acknowledge(self) -> None:
        if self._snapshot is None or self.generation == self._applied:
            return
        if not self.workers.leaking(self._serving):
            self.generation = self._applied
            self.news.set()

    def look_at_files(self) -> None:
        """The files that the settings name may have changed: look now."""
        self._files_at = 0.0
        self.changed.set()

    def _read_files(self, now: float) -> None:
        if now < self._files_at:
            return
        self._files_at = now + FILES_S
        try:
            found = frame(self.settings)
        except ValueError as error:
            self.log("the files named by the settings cannot be used; what runs stays", error=str(error))
            return
        if found.marks != self.keeper.frame.marks:
            self.keeper.frame = found
            self._resync_at = now

    def _sum_up(self) -> None:
        """What was summed is on disk before it is told, so that no later agent tells less."""
        held = sum(seen.held for seen in self.workers.all)
        if held and not self._held:
            self.held_news = True
            self.news.set()
        self._held = held
        registered = set(self._snapshot.backends) if self._snapshot else set(self.ledger.backends)
        self.ledger.forget({seen.key for seen in self.workers.all}, registered)
        try:
            self.ledger.write(self.ledger_path)
        except OSError as error:
            self.log("the counters cannot be kept", path=str(self.ledger_path), error=error.strerror)
        in_flight = self.workers.in_flight()
        self._reading = replace(
            self.ledger.reading(self.id, self.generation),
            in_flight=sum(seen.front.in_flight for seen in self.workers.all),
            held=held,
            leaving={name: count for name, count in in_flight.items() if name not in self._serving},
            backends=self.workers.counters(in_flight),
            figures=self.figures(),
        )

    def figures(self) -> dict[str, object]:
        """For people: what this agent has done since it started."""
        slots = self.keeper.slots
        return {
            "reloads": dict(self.keeper.reloads),
            "runtime_changes": self.keeper.changes,
            "slots": len(slots),
            "slots_free": sum(not slot.enabled and slot.name not in self.workers.busy_slots for slot in slots),
            "old_workers": len(self.workers.old),
            "worker": self.workers.current.pid if self.workers.current else None,
        } | (self.crashes.figures() if self.crashes else {})

    def _ask_about_refusals(self) -> None:
        """HAProxy counts what timed out with what was refused; whether it was refused now, a connection tells."""
        failed, self.workers.failed = self.workers.failed, self.workers.failed.__class__()
        for name, count in failed.items():
            backend = self._snapshot.backends.get(name) if self._snapshot else None
            if backend is not None and backend.url is not None:
                task = asyncio.get_running_loop().create_task(self._ask(name, count, backend.url))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)

    async def _ask(self, name: str, count: int, url: str) -> None:
        address, _, port = url.removeprefix("http://").rpartition(":")
        try:
            async with asyncio.timeout(REFUSAL_TIMEOUT_S):
                _, writer = await asyncio.open_connection(address.strip("[]"), int(port))
        except ConnectionRefusedError:
            self.ledger.add_refused(name, count)
            self.changed.set()
            self.news.set()
        except (OSError, TimeoutError):
            return
        else:
            writer.close()

    def _lost(self, error: HaproxyError) -> None:
        if str(error) != self._trouble:
            self._trouble = str(error)
            self.log("HAProxy is not there", error=str(error))

    def _found(self) -> None:
        self._trouble = ""
        if self.workers.current is not None:
            self.log("a worker serves", worker=self.workers.current.pid)
