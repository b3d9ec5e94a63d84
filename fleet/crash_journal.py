"""What a data plane has to write down about crashes, kept in memory while the store cannot be reached."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from fleet.crash import Capture, Entry, Failure, Uncaptured
from fleet.errors import SettingsError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fleet.crash import CrashLog

# Entries that wait at most, and those written at once.
LIMIT = 5000
BATCH = 500
FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 5.0

# An entry, its document, and what is set once both are written.
_Waiting = tuple[Entry, bytes, asyncio.Event | None]


class Journal:
    """`note` never waits. `run` writes, until it is cancelled; `say` gets one line when an outage begins and ends."""

    def __init__(self, open_log: Callable[[], CrashLog], say: Callable[[str], None], limit: int = LIMIT) -> None:
        self.lost = 0
        self._open_log = open_log
        self._say = say
        self._limit = limit
        self._waiting: deque[_Waiting] = deque()
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._failing = False

    def note(self, entry: Failure | Uncaptured) -> None:
        """Have it written down; above the limit it is lost, and counted."""
        if len(self._waiting) < self._limit:
            self._add(entry)
        else:
            self.lost += 1

    async def keep(self, capture: Capture, packed: bytes) -> None:
        """Returns when the document is in the store. As many wait as the caller lets: they are not in the limit."""
        stored = asyncio.Event()
        self._add(capture, packed, stored)
        await stored.wait()

    async def run(self) -> None:
        """Write what comes."""
        log: CrashLog | None = None
        wait_s = FIRST_RETRY_S
        try:
            while True:
                await self._news.wait()
                try:
                    log = log or self._open_log()
                    await self._write(log)
                except (StoreUnavailableError, SettingsError) as error:
                    self._began_to_fail(error)
                    await asyncio.sleep(wait_s)
                    wait_s = min(2 * wait_s, LONGEST_RETRY_S)
                else:
                    wait_s = FIRST_RETRY_S
        finally:
            if log is not None:
                await log.aclose()

    async def settle(self, within_s: float) -> None:
        """At the end: wait until all is written, and say what is lost."""
        try:
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        except TimeoutError:
            self._say(
                f"{len(self._waiting) + self.lost} entries about crashes are lost: the store could not be reached"
            )

    def _add(self, entry: Entry, packed: bytes = b"", stored: asyncio.Event | None = None) -> None:
        self._waiting.append((entry, packed, stored))
        self._news.set()
        self._idle.clear()

    async def _write(self, log: CrashLog) -> None:
        while self._waiting:
            written = await _write_some(log, self._waiting)
            for _ in range(written):
                _, _, stored = self._waiting.popleft()
                if stored is not None:
                    stored.set()
            self._recovered()
        self._news.clear()
        self._idle.set()

    def _began_to_fail(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            self._say(f"{error}; crashes are kept in memory, {self._limit} entries at most")

    def _recovered(self) -> None:
        if self._failing:
            lost, self.lost, self._failing = self.lost, 0, False
            self._say(f"crashes are written again{f', {lost} entries are lost' if lost else ''}")


async def _write_some(log: CrashLog, waiting: deque[_Waiting]) -> int:
    """Write the first entry and those of its kind right behind it; returns how many."""
    first, packed, _ = waiting[0]
    match first:
        case Capture():
            await log.captured(first, packed)
            return 1
        case Failure():
            failures = [one for one, *_ in _batch(waiting) if isinstance(one, Failure)]
            await log.failed(failures)
            return len(failures)
        case Uncaptured():
            missing = [one for one, *_ in _batch(waiting) if isinstance(one, Uncaptured)]
            await log.uncaptured(missing)
            return len(missing)


def _batch(waiting: deque[_Waiting]) -> Iterator[_Waiting]:
    kind = type(waiting[0][0])
    return takewhile(lambda one: isinstance(one[0], kind), islice(waiting, BATCH))
