"""What HAProxy logs of requests that failed: heard by the agent, written down, and followed up."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.backend import Network
from fleet.clock import Clock
from fleet.crash import NO_TOKEN, Uncaptured
from fleet.crash_journal import Journal
from fleet.crash_packing import Packer
from fleet.profile_client import ProfileClient
from fleet.store.opening import open_crash_log
from haproxy.crash_record import failure_of
from haproxy.failure_log import read_line
from haproxy.hunt import Hunt, instances_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from pathlib import Path

    from fleet.registry import Snapshot
    from fleet.settings import Settings

LONGEST_LINE = 16_384
MOST_UNREAD = 5000


@dataclass(slots=True)
class Crashes:
    """Without a `hunt` what fails is written down, and no app is asked for more."""

    journal: Journal
    hunt: Hunt | None
    proxy: str
    networks: Sequence[Network]
    clock: Clock = field(default_factory=Clock)
    heard: int = 0
    _names: dict[tuple[str, int], str] = field(default_factory=dict)
    _heard_of: Counter[str] = field(default_factory=Counter)
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
        failure = failure_of(logged, self.clock.now(), self.proxy, self._names.get(logged.place, ""))
        self.heard += 1
        self._heard_of[failure.backend] += 1
        self.journal.note(failure)
        if self.hunt is None:
            self.journal.note(Uncaptured(failure.id, NO_TOKEN))
        else:
            self.hunt.follow(failure)

    def notice(self, errors: Mapping[str, int]) -> None:
        """HAProxy's own counts by instance: where one grew by more than was heard, some of the log did not reach us."""
        for name, count in errors.items():
            if count - self._errors.get(name, count) > self._heard_of[name] and self.hunt is not None:
                self.hunt.look_soon(name)
        self._errors, self._heard_of = dict(errors), Counter()

    def figures(self) -> dict[str, int]:
        """For people: what was heard of and what was kept since the start."""
        return {"crashes": self.heard, "profiles": self.hunt.kept if self.hunt else 0}

    async def run(self) -> None:
        """Ends only by being cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.journal.run())
            if self.hunt is not None:
                group.create_task(self.hunt.run())


@asynccontextmanager
async def open_crashes(settings: Settings, proxy: str, ear: Path, say: Callable[..., None]) -> AsyncIterator[Crashes]:
    """As the settings want it, hearing at `ear` what HAProxy logs from the first moment on. Raises SettingsError."""
    token, clock = settings.token(), Clock()
    journal = Journal(lambda: open_crash_log(settings), say)
    hunt = None
    async with AsyncExitStack() as stack:
        if token is None:
            say("no app is asked for profiles", because="profile_token is not set")
        else:
            client = await stack.enter_async_context(ProfileClient(token))
            packer = await stack.enter_async_context(Packer())
            hunt = Hunt(client, packer, journal, proxy, clock, say)
        crashes = Crashes(journal, hunt, proxy, settings.networks, clock)
        try:
            stack.enter_context(listening(ear, settings.haproxy.user, crashes.hear))
        except (OSError, LookupError) as error:
            say("what HAProxy logs of failures cannot be heard", path=str(ear), error=str(error))
        yield crashes


@contextmanager
def listening(path: Path, user: str | None, hear: Callable[[bytes], None]) -> Iterator[None]:
    """Every line that HAProxy sends to this socket is heard in the running event loop. Raises OSError, LookupError.

    `user` is whom HAProxy's workers run as, None for the user of this process or root.
    """
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(path))
        path.chmod(0o600)
        if user is not None and os.geteuid() == 0:
            shutil.chown(path, user)
        # A thread, because the system keeps ten lines for us, and HAProxy does not wait.
        thread = threading.Thread(target=_listen, args=(ear, asyncio.get_running_loop(), hear), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ear.shutdown(socket.SHUT_RDWR)
            thread.join()
            path.unlink(missing_ok=True)


def _listen(ear: socket.socket, loop: asyncio.AbstractEventLoop, hear: Callable[[bytes], None]) -> None:
    heard: deque[bytes] = deque(maxlen=MOST_UNREAD)

    def pass_on() -> None:
        while heard:
            hear(heard.popleft())

    while line := ear.recv(LONGEST_LINE):
        heard.append(line)
        if len(heard) == 1:
            loop.call_soon_threadsafe(pass_on)
