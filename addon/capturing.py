"""Gets what the app knows of its crashes: off the requests' path, at a limited pace, groups of them by turns."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from addon.fair_queue import FairQueue
from fleet.crash import NO_TOKEN, Failure, Source, Uncaptured
from fleet.crash_document import pack
from fleet.crash_packing import Packer
from fleet.crash_told import about
from fleet.profile_client import NOTHING, UNSERVED, NotHadError, ProfileClient

if TYPE_CHECKING:
    from addon.replay import Replayer
    from addon.sweep import Sweep
    from fleet.crash import Capture
    from fleet.crash_journal import Journal

# What waits, what is fetched at once, and how many may begin at once and in a second. A document is 8 MB at most, and
# a capture costs the proxy some milliseconds of its one core.
QUEUED = 200
AT_ONCE = 8
BURST = 20
PER_S = 10.0
# The app's file may come after its answer: it is asked for once more after each of these, for 2 s.
RETRIES_S = (0.05, 0.1, 0.2, 0.4, 0.6, 0.65)
# After so many crashes in a row of which a backend knew nothing, it is asked only once.
MISSES = 3
BACKENDS = 1000
TOO_MANY = "too many crashes at once"


@dataclass(frozen=True, slots=True)
class Job:
    """A crash to be captured. `target` and `headers` are those of its request, for a replay; None without one."""

    failure: Failure
    url: str
    target: str = ""
    headers: Mapping[str, str] | None = None


class Pace:
    """Says how long to wait: `burst` at once, then `per_s` in a second."""

    def __init__(self, burst: int, per_s: float) -> None:
        self._ahead_s = burst / per_s
        self._step_s = 1 / per_s
        self._due_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Seconds from now until the next may begin, which is thereby taken."""
        self._due_s = max(self._due_s, now_s - self._ahead_s) + self._step_s
        return max(0.0, self._due_s - now_s)


class Capturer:
    """`add` never waits. `run` works until it is cancelled; without a token it can only replay."""

    def __init__(
        self, journal: Journal, token: str | None, replayer: Replayer | None = None, sweep: Sweep | None = None
    ) -> None:
        self._journal = journal
        self._sweep = sweep
        self._awaited: set[str] = set()
        self._token = token
        self._replayer = replayer
        self._queue: FairQueue[Job] = FairQueue(QUEUED)
        self._filled = asyncio.Event()
        self._turn = asyncio.Lock()
        self._packer = Packer()
        self._pace = Pace(BURST, PER_S)
        self._misses: dict[str, int] = {}

    def add(self, job: Job) -> None:
        """Have it captured, unless too much waits already."""
        failure = job.failure
        if self._token is None and self._replayer is None:
            self._journal.note(Uncaptured(failure.id, NO_TOKEN))
            return
        self._awaited.add(failure.id)
        dropped = self._queue.put((failure.backend, failure.method, failure.path), job)
        if dropped is not None:
            self._give_up(dropped, TOO_MANY)
        self._filled.set()

    def abandon(self, reason: str) -> None:
        """Give up what waits."""
        while self._queue:
            self._give_up(self._queue.get(), reason)
        self._filled.clear()

    async def run(self) -> None:
        """Capture what comes."""
        client = ProfileClient(self._token or "", limit=AT_ONCE)
        async with client, self._packer, asyncio.TaskGroup() as workers:
            for _ in range(AT_ONCE):
                workers.create_task(self._work(client))
            if self._sweep is not None:
                workers.create_task(self._sweep.run(self._packer, self._awaited.__contains__))

    async def _work(self, client: ProfileClient) -> None:
        while True:
            job = await self._next()
            try:
                capture, packed = await self._capture(client, job)
            except NotHadError as error:
                self._give_up(job, str(error))
                continue
            await self._journal.keep(capture, packed)
            self._awaited.discard(job.failure.id)
            if capture.source is Source.CAPTURE:
                await _forget(client, job)

    def _give_up(self, job: Job, reason: str) -> None:
        self._awaited.discard(job.failure.id)
        self._journal.note(Uncaptured(job.failure.id, reason))

    async def _next(self) -> Job:
        async with self._turn:
            await self._filled.wait()
            await asyncio.sleep(self._pace.wait_s(monotonic()))
            job = self._queue.get()
            if not self._queue:
                self._filled.clear()
            return job

    async def _capture(self, client: ProfileClient, job: Job) -> tuple[Capture, bytes]:
        try:
            return await self._fetch(client, job)
        except NotHadError:
            if self._replayer is None or not self._replayer.takes(job):
                raise
        document = await self._replayer.replay(client, job)
        return await asyncio.to_thread(pack, document, about(job.failure, Source.REPLAY))

    async def _fetch(self, client: ProfileClient, job: Job) -> tuple[Capture, bytes]:
        if self._token is None:
            raise NotHadError(NO_TOKEN)
        raw = await self._ask(client, job)
        try:
            packed = await self._packer.packed(raw, job.failure.id, job.failure)
        except ValueError as error:
            await _forget(client, job)
            raise NotHadError(str(error)) from error
        return packed.capture, packed.content

    async def _ask(self, client: ProfileClient, job: Job) -> bytes:
        raw = await client.document(job.url, job.failure.id)
        known = self._misses.get(job.url, 0)
        for wait_s in RETRIES_S if known < MISSES else ():
            if raw is not None:
                break
            await asyncio.sleep(wait_s)
            raw = await client.document(job.url, job.failure.id)
        if raw is not None:
            self._misses.pop(job.url, None)
            return raw
        if len(self._misses) >= BACKENDS:
            self._misses.clear()
        self._misses[job.url] = known + 1
        raise NotHadError(UNSERVED if await client.waiting(job.url) is None else NOTHING)


async def _forget(client: ProfileClient, job: Job) -> None:
    with suppress(NotHadError):  # the app forgets it by itself, later
        await client.remove(job.url, job.failure.id)
