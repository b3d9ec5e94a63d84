"""Looks at the store once for all viewers, and tells them what is new."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from fleet.clock import Clock
from fleet.crash import CrashDesk
from fleet.errors import StoreUnavailableError
from fleet.registry import Desk, Snapshot
from fleet.settings import Settings
from stoker.web import view
from stoker.web.board import CRASHES_KEPT, Board
from stoker.web.hub import Hub
from stoker.web.view import Gauge

if TYPE_CHECKING:
    from typing import Any

    from fleet.crash import Listing

# Counters have no channel that tells of them, so the store is looked at this often; seldom while nobody watches.
LOOK_S, UNWATCHED_S = 0.2, 1.0
# An event makes the next look due at once, but not sooner than this after the last.
LOOK_GAP_S = 0.05
WAIT_S = 1.0
RETRY_S = 0.5

Given = TypeVar("Given")
Opened = TypeVar("Opened")


@dataclass(slots=True)
class Door(Generic[Opened]):
    """A door to the store, which may not be there yet; questions are asked in a thread, one after the other."""

    open: Callable[[], Opened]
    _opened: Opened | None = None

    async def ask(self, question: Callable[[Opened], Given]) -> Given:
        """Raises StoreUnavailableError."""
        return await asyncio.to_thread(self._ask, question)

    def _ask(self, question: Callable[[Opened], Given]) -> Given:
        self._opened = self._opened or self.open()
        return question(self._opened)


@dataclass(slots=True)
class Watch:
    """The loops over one store; `run` ends only by being cancelled."""

    settings: Settings
    hub: Hub
    board: Board
    clock: Clock
    open_desk: Callable[[], Desk]
    open_crashes: Callable[[], CrashDesk]
    _due: asyncio.Event = field(default_factory=asyncio.Event)
    _gauge: Gauge = field(default_factory=Gauge)
    _known: Snapshot | None = None

    async def run(self) -> None:
        """Look until the end of the program."""
        async with asyncio.TaskGroup() as group:
            for forever in (self._keep_looking(), self._keep_following(), self._keep_crashes(), self._keep_welcoming()):
                group.create_task(forever)

    async def _keep_looking(self) -> None:
        door = Door(self.open_desk)
        while True:
            try:
                status = await door.ask(lambda desk: desk.status(self._known))
            except StoreUnavailableError as error:
                self._known = None
                self._tell(self.board.lost(self.clock.now(), str(error)))
            else:
                now, self._known = self.clock.now(), status.snapshot
                self._gauge, rates = self._gauge.read(now, status.sighting)
                self._tell(self.board.seen(now, view.view(self.settings, status, rates, self._gauge.failing)))
            await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(LOOK_GAP_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout((LOOK_S if self.hub.viewers else UNWATCHED_S) - LOOK_GAP_S):
                await self._due.wait()
        self._due.clear()

    async def _keep_following(self) -> None:
        door, seen = Door(self.open_desk), ""
        while True:
            after = seen  # bound here, because the question is asked in another thread
            try:
                found = await door.ask(lambda desk: desk.history(after, wait_s=WAIT_S))  # noqa: B023
            except StoreUnavailableError:
                await asyncio.sleep(RETRY_S)  # the looks tell of it
                continue
            if found:
                seen = found[-1][0]
                self._tell(self.board.happened([view.event(entry_id, one) for entry_id, one in found]))
                self._due.set()
            await asyncio.sleep(LOOK_GAP_S)

    async def _keep_crashes(self) -> None:
        door = Door(self.open_crashes)
        while True:
            try:
                listing = await door.ask(lambda desk: desk.crashes(limit=CRASHES_KEPT))
                self._tell(self.board.crashed([view.crash(one) for one in reversed(listing.crashes)]))
                await self._more_crashes(door, listing)
            except StoreUnavailableError:
                pass  # the looks tell of it
            await asyncio.sleep(RETRY_S)

    async def _more_crashes(self, door: Door[CrashDesk], listing: Listing) -> None:
        while True:
            if await door.ask(lambda desk: desk.follow(listing.last, wait_s=WAIT_S)):
                return
            await asyncio.sleep(LOOK_GAP_S)

    async def _keep_welcoming(self) -> None:
        """A viewer who comes after nobody watched need not wait for the next look."""
        while True:
            await self.hub.arrived.wait()
            self.hub.arrived.clear()
            self._due.set()

    def _tell(self, news: dict[str, Any]) -> None:
        if news:
            self.hub.tell(news)
