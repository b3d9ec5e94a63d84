"""This proxy and the store kept in step: it shows its counters, and learns which backends serve.

Routing never waits for any of this. While the store cannot be reached the proxy goes on with what it knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from time import monotonic
from typing import TYPE_CHECKING

from fleet.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from addon.plane import Plane
    from fleet.registry import Noticeboard, Snapshot
    from fleet.snapshot_file import SnapshotFile

log = logging.getLogger(__name__)

REPORT_S = 0.5
# News are reported at once, but not more often than this.
REPORT_GAP_S = 0.05
POLL_S = 1.0
BACKOFF_MAX_S = 2.0


class Presence:
    """The loops over one noticeboard; `run` ends only by being cancelled."""

    def __init__(self, plane: Plane, board: Noticeboard, file: SnapshotFile) -> None:
        self._plane = plane
        self._board = board
        self._file = file
        self._look = asyncio.Event()
        self._known = False
        self._applied: int | None = None
        self._stale: int | None = None
        self._faults: tuple[str, ...] = ()
        self._trouble = ""

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
            log.warning("stoker: could not say that this proxy ended: %s", error)

    async def _report(self) -> None:
        plane = self._plane
        plane.news.clear()
        held, plane.held_news = plane.held_news, False
        try:
            await self._board.report(plane.reading())
            self._known = True
            if held:
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
        if snapshot is None or snapshot.generation == self._applied:
            return
        if self._applied is not None and snapshot.generation < self._applied:
            if snapshot.generation != self._stale:
                self._stale = snapshot.generation
                log.warning(
                    "stoker: generation %d in Redis is older than %d, which stays", snapshot.generation, self._applied
                )
            return
        self._applied = snapshot.generation
        self._apply(snapshot)
        try:
            await asyncio.to_thread(self._file.write, snapshot)
        except OSError as error:
            log.warning("stoker: snapshot %s cannot be written: %s", self._file.path, error.strerror)

    def _apply(self, snapshot: Snapshot) -> None:
        self._plane.apply(snapshot)
        if snapshot.faults != self._faults:
            self._faults = snapshot.faults
            for fault in snapshot.faults:
                log.warning("stoker: not used: %s", fault)

    async def _start_from_file(self) -> None:
        try:
            snapshot = await asyncio.to_thread(self._file.read)
        except ValueError as error:
            log.warning("stoker: %s", error)
            return
        if snapshot is None:
            log.warning("stoker: no snapshot was kept in %s; requests are held", self._file.path)
        else:
            log.warning("stoker: starting with generation %d from %s", snapshot.generation, self._file.path)
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
            log.warning("stoker: %s; going on with generation %d", error, self._plane.roster.generation)

    def _found(self) -> None:
        if self._trouble:
            self._trouble = ""
            log.warning("stoker: Redis answers again")
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
