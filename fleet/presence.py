"""A data plane and the store kept in step: it shows its counters, and learns which backends serve.

Routing never waits for any of this. While the store cannot be reached the proxy goes on with what it knows.
"""

from __future__ import annotations

import asyncio
import contextlib
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from fleet.errors import StoreUnavailableError
from fleet.surge import Surge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fleet.registry import Noticeboard, ProxyReading, Snapshot
    from fleet.snapshot_file import SnapshotFile

REPORT_S = 0.5
# News are reported at once, but not more often than this.
REPORT_GAP_S = 0.05
POLL_S = 1.0
BACKOFF_MAX_S = 2.0


class Plane(Protocol):
    """What a data plane is to the store. `news` is set when a report should not wait for its turn."""

    id: str
    news: asyncio.Event
    held_news: bool

    @property
    def generation(self) -> int:
        """The one that is applied."""

    def reading(self) -> ProxyReading | None:
        """What is reported; None while the plane cannot see its own counters, and had better be silent."""

    def apply(self, snapshot: Snapshot) -> None:
        """Route by this generation from now on."""


class Presence:
    """The loops over one noticeboard; `run` ends only by being cancelled. `say` tells a person one line.

    `reading` is what was last to be reported, None where the plane was silent. By the monotonic clock, `turned_s` is
    when that was, and `confirmed_s` when the store last confirmed what is applied, or this began.
    """

    def __init__(self, plane: Plane, board: Noticeboard, file: SnapshotFile, say: Callable[[str], None]) -> None:
        self._plane = plane
        self._board = board
        self._file = file
        self._say = say
        self.reading: ProxyReading | None = None
        self.turned_s = self.confirmed_s = monotonic()
        self._look = asyncio.Event()
        self._surge = Surge()
        self._known = False
        self._applied: int | None = None
        self._stale: int | None = None
        self._faults: tuple[str, ...] = ()
        self._trouble = ""

    @property
    def generation(self) -> int:
        """The one that the plane has applied, 0 before the first."""
        return self._plane.generation

    @property
    def reachable(self) -> bool:
        """Whether the store answered last time."""
        return self._known and not self._trouble

    async def run(self) -> None:
        """Show this proxy before the first snapshot is read, then keep both in step."""
        try:
            await self._report()
            await self._refresh()
        except StoreUnavailableError as error:
            self._lost(error)
            await self._start_from_file()
        loop = asyncio.get_running_loop()
        loops = [
            loop.create_task(forever)
            for forever in (self._keep_reporting(), self._keep_looking(), self._keep_listening())
        ]
        try:
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()
        finally:
            await end(loops, every_s=0.1)

    async def leave(self) -> None:
        """Take this proxy's traces away, on a clean end."""
        try:
            await self._board.leave(self._plane.id)
        except StoreUnavailableError as error:
            self._say(f"could not say that this proxy ended: {error}")

    async def _report(self) -> None:
        plane = self._plane
        plane.news.clear()
        self.turned_s = monotonic()
        reading = self.reading = plane.reading()
        if reading is None:
            return
        held, plane.held_news = plane.held_news, False
        try:
            await self._board.report(reading)
            self._known = True
            if self._surge.noticed(reading) or held:
                await self._board.wake()
        except StoreUnavailableError:
            plane.held_news = held or plane.held_news
            raise
        self._found()

    async def _refresh(self) -> None:
        # Until the scaler can know of this proxy, it must not send anything to a backend that the scaler may stop.
        if not self._known:
            return
        snapshot = await self._board.snapshot()
        if snapshot is None:
            return
        if snapshot.generation == self._applied:
            self.confirmed_s = monotonic()
            return
        if self._applied is not None and snapshot.generation < self._applied:
            if snapshot.generation != self._stale:
                self._stale = snapshot.generation
                self._say(f"generation {snapshot.generation} in Redis is older than {self._applied}, which stays")
            return
        self._applied = snapshot.generation
        self._apply(snapshot)
        self.confirmed_s = monotonic()
        try:
            await asyncio.to_thread(self._file.write, snapshot)
        except OSError as error:
            self._say(f"snapshot {self._file.path} cannot be written: {error.strerror}")

    def _apply(self, snapshot: Snapshot) -> None:
        self._plane.apply(snapshot)
        if snapshot.faults != self._faults:
            self._faults = snapshot.faults
            for fault in snapshot.faults:
                self._say(f"not used: {fault}")

    async def _start_from_file(self) -> None:
        try:
            snapshot = await asyncio.to_thread(self._file.read)
        except ValueError as error:
            self._say(str(error))
            return
        if snapshot is None:
            self._say(f"no snapshot was kept in {self._file.path}; requests are held")
        else:
            self._say(f"starting with generation {snapshot.generation} from {self._file.path}")
            self._apply(snapshot)

    async def _keep_reporting(self) -> None:
        pause_s = REPORT_S
        while True:
            began_s = monotonic()
            await _wait(self._plane.news, pause_s)
            await asyncio.sleep(began_s + REPORT_GAP_S - monotonic())
            try:
                await self._report()
                pause_s = REPORT_S
            except StoreUnavailableError as error:
                self._lost(error)
                pause_s = min(2 * pause_s, BACKOFF_MAX_S)
                await asyncio.sleep(REPORT_S)

    async def _keep_looking(self) -> None:
        while True:
            await _wait(self._look, POLL_S)
            self._look.clear()
            try:
                await self._refresh()
            except StoreUnavailableError as error:
                self._lost(error)

    async def _keep_listening(self) -> None:
        pause_s = REPORT_S
        while True:
            try:
                async for _ in self._board.changes():
                    pause_s = REPORT_S
                    self._look.set()
            except StoreUnavailableError as error:
                self._lost(error)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, BACKOFF_MAX_S)
            self._look.set()

    def _lost(self, error: StoreUnavailableError) -> None:
        if not self._trouble:
            self._trouble = str(error)
            self._say(f"{error}; going on with generation {self._plane.generation}")

    def _found(self) -> None:
        if self._trouble:
            self._trouble = ""
            self._say("Redis answers again")
            self._look.set()


async def end(tasks: Iterable[asyncio.Task[None]], *, every_s: float) -> None:
    """Cancel until all have ended; once is not enough where `asyncio.wait_for` is under way on Python 3.11."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=every_s)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
