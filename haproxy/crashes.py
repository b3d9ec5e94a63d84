"""What HAProxy logs of requests that failed, written down in the order in which it came, and followed up."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.backend import Network
from fleet.crash import Failure
from fleet.store.opening import open_crash_log
from haproxy.app_profiles import open_app_profiles
from haproxy.crash_record import CrashRecord
from haproxy.failure_log import read_line
from haproxy.hunt import Hunt, instances_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from pathlib import Path

    from fleet.registry import Snapshot
    from fleet.settings import Settings

MOST_UNWRITTEN = 2000
BATCH = 200
LONGEST_LINE = 16_384
LINES_AT_ONCE = 256


@dataclass(slots=True)
class Crashes:
    """Without a `hunt` what fails is written down, and no app is asked for more."""

    record: CrashRecord
    hunt: Hunt | None
    networks: Sequence[Network]
    lost: int = 0
    _names: dict[tuple[str, int], str] = field(default_factory=dict)
    _unwritten: deque[tuple[Failure, bool]] = field(default_factory=deque)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _heard: set[str] = field(default_factory=set)
    _errors: dict[str, int] = field(default_factory=dict)

    def know(self, snapshot: Snapshot) -> None:
        """These are the instances from now on."""
        found = instances_of(snapshot, self.networks)
        self._names = {one.place: one.name for one in found.values()}
        if self.hunt is not None:
            self.hunt.know(found)

    def hear(self, line: bytes) -> None:
        """Take in a line that HAProxy logged."""
        logged = read_line(line)
        if logged is None:
            return
        if len(self._unwritten) >= MOST_UNWRITTEN:
            if not self.lost:
                self.record.say("crashes are lost: more than wait to be written down", waiting=MOST_UNWRITTEN)
            self.lost += 1
            return
        name = self._names.get(logged.place, "")
        self._heard.add(name)
        self._unwritten.append((self.record.failure(logged, name), logged.sent))
        self._news.set()

    def notice(self, errors: Mapping[str, int]) -> None:
        """HAProxy's own counts by instance: where one grew and nothing was heard, the log does not reach us."""
        for name, count in errors.items():
            if count > self._errors.get(name, count) and name not in self._heard and self.hunt is not None:
                self.hunt.look_soon(name)
        self._errors, self._heard = dict(errors), set()

    def figures(self) -> dict[str, int]:
        """For people: what was written down since the start, and what was not."""
        return {"crashes": self.record.failures, "profiles": self.record.documents, "crashes_lost": self.lost}

    async def run(self) -> None:
        """Ends only by being cancelled."""
        async with asyncio.TaskGroup() as group:
            if self.hunt is not None:
                group.create_task(self.hunt.run())
            group.create_task(self._keep_writing())

    async def _keep_writing(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._unwritten:
                batch = [self._unwritten[place] for place in range(min(BATCH, len(self._unwritten)))]
                await self.record.failed([failure for failure, _ in batch])
                for _ in batch:
                    self._unwritten.popleft()
                if self.hunt is not None:
                    self.hunt.follow(batch)


@asynccontextmanager
async def open_crashes(settings: Settings, proxy: str, ear: Path, say: Callable[..., None]) -> AsyncIterator[Crashes]:
    """As the settings want it, hearing at `ear` what HAProxy logs. Raises SettingsError."""
    token = settings.token()
    async with AsyncExitStack() as stack:
        log = open_crash_log(settings)
        stack.push_async_callback(log.aclose)
        record = CrashRecord(log, proxy, say)
        if token is None:
            say("no app is asked for profiles", because="profile_token is not set")
            hunt = None
        else:
            hunt = Hunt(await stack.enter_async_context(open_app_profiles(token)), record)
        crashes = Crashes(record, hunt, settings.networks)
        try:
            stack.enter_context(listening(ear, settings.haproxy.user, crashes.hear))
        except (OSError, LookupError) as error:
            say("what HAProxy logs of failures cannot be heard", path=str(ear), error=str(error))
        yield crashes


@contextmanager
def listening(path: Path, user: str | None, hear: Callable[[bytes], None]) -> Iterator[None]:
    """Every line that HAProxy sends to this socket is heard; to be entered in a running event loop. Raises OSError.

    `user` is whom HAProxy's workers run as, None for the user of this process or root.
    """
    loop = asyncio.get_running_loop()
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as ear:
        ear.bind(str(path))
        path.chmod(0o600)
        if user is not None and os.geteuid() == 0:
            shutil.chown(path, user)

        def drain() -> None:
            with suppress(BlockingIOError):
                for _ in range(LINES_AT_ONCE):
                    hear(ear.recv(LONGEST_LINE))

        loop.add_reader(ear, drain)
        try:
            yield
        finally:
            loop.remove_reader(ear)
            path.unlink(missing_ok=True)
