"""A real mitmdump with the addon, a fleet of its own in a real Valkey, and a client that never retries."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fleet.backend import Backend as Entry
from fleet.backend import Phase
from fleet.registry import Change, Lease, ProxyReading, Summary
from fleet.settings import Settings
from fleet.store.desk import RedisDesk
from fleet.store.opening import open_desk, open_registry
from fleet.store.scaler_side import RedisRegistry
from tests.doors import patient
from tests.valkey import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


MAIN = Path(__file__).resolve().parents[2] / "addon" / "main.py"
MITMDUMP = Path(sys.executable).with_name("mitmdump")
LOOK_S = 0.01
PATIENCE_S = 40.0


@dataclass
class Fleet:
    """The scaler's hand in this fleet: what it publishes, and what it sees of the proxies."""

    settings: Settings
    registry: RedisRegistry = field(init=False)
    desk: RedisDesk = field(init=False)
    lease: Lease | None = None
    entries: dict[str, Entry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.registry = patient(open_registry(self.settings))
        self.desk = patient(open_desk(self.settings))

    def publish(self, **phases: Phase) -> int:
        """Publish the entries, some with another phase, and return the generation."""
        for name, phase in phases.items():
            entry = self.entries[name]
            self.entries[name] = Entry(entry.name, phase, entry.url, entry.weight)
        if self.lease is None or not self.registry.renew(self.lease):
            self.lease = self.registry.acquire("test")
            assert self.lease is not None
        return self.registry.publish(self.lease, Change(dict(self.entries), len(self.entries), Summary("UP", 1)))

    def reading(self, proxy: str) -> ProxyReading | None:
        """What that proxy last reported."""
        return next((each for each in self.desk.status().sighting.readings if each.id == proxy), None)


class Named(Protocol):
    """What can be put into a registry."""

    name: str

    @property
    def url(self) -> str:
        """Where it is."""


@dataclass
class Proxy:
    """A running mitmdump."""

    process: subprocess.Popen[bytes]
    port: int
    output: Path
    fleet: Fleet
    id: str

    async def serve(self, *backends: Named, weights: tuple[int, ...] = (), **phases: Phase) -> None:
        """Let these be the fleet, serving unless said otherwise, and wait until the proxy has applied it."""
        self.fleet.entries = {
            each.name: Entry(each.name, phases.get(each.name, Phase.SERVING), each.url, weight)
            for each, weight in zip(backends, weights or (100,) * len(backends), strict=True)
        }
        generation = self.fleet.publish()
        await self.until(lambda reading: reading.generation == generation)

    async def until(self, reached: Callable[[ProxyReading], bool]) -> ProxyReading:
        """The first report of which this holds."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                reading = await asyncio.to_thread(self.fleet.reading, self.id)
                if reading is not None and reached(reading):
                    return reading
                await asyncio.sleep(LOOK_S)

    async def idle(self, arrivals: int = 0) -> ProxyReading:
        """The report in which so many requests have arrived, and none is held or in flight on any backend."""
        return await self.until(
            lambda reading: (
                reading.arrivals >= arrivals
                and not reading.in_flight
                and not reading.held
                and reading.arrivals == reading.completions
                and not any(each.in_flight for each in (reading.backends or {}).values())
            )
        )

    def log(self) -> str:
        """All that it has said."""
        return self.output.read_text()

    def end(self) -> None:
        """Ask it to end, as a supervisor does."""
        self.process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Its exit code, once it has ended."""
        return await asyncio.to_thread(self.process.wait, PATIENCE_S)


@contextmanager
def proxy(settings: Settings, folder: Path, *options: str, name: str = "proxy") -> Iterator[Proxy]:
    """A mitmdump on this fleet, entered as soon as it listens; killed at the end of the block."""
    port, output = free_port(), folder / f"{name}.log"
    argv = command(port, folder, f"stoker_fleet={settings.fleet}", f"stoker_id={name}", *options)
    url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    environment = os.environ | {"STOKER_REDIS_URL": url, "STOKER_STATE_DIR": str(settings.state_dir)}
    if token := settings.token():
        environment["STOKER_PROFILE_TOKEN"] = token
    with output.open("wb") as log:
        process = subprocess.Popen(
            argv,
            stdout=log,
            stderr=log,
            env=environment | {"PYTHONUNBUFFERED": "1"},
            cwd=folder,
            stdin=subprocess.DEVNULL,
        )
    try:
        started = Proxy(process, port, output, Fleet(settings), name)
        _wait_for_port(started)
        yield started
    finally:
        process.kill()
        process.wait()


def command(port: int, folder: Path, *options: str, mode: str = "reverse:http://stoker") -> list[str]:
    """The command line of a proxy."""
    settings = [word for option in options for word in ("--set", option)]
    return [
        str(MITMDUMP),
        *("-s", str(MAIN), "--mode", f"{mode}@127.0.0.1:{port}", "--set", f"confdir={folder / 'conf'}"),
        *settings,
    ]


def _wait_for_port(started: Proxy) -> None:
    for _ in range(int(PATIENCE_S / LOOK_S)):
        if "listening" in started.log():
            return
        try:
            started.process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(f"the proxy did not start: {started.log()}")


@dataclass
class Answer:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Client:
    """One connection to the proxy."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> None:
        """Write a request."""
        length = [f"Content-Length: {len(body)}"] if body else []
        head = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: app.example", *headers, *length, "", ""])
        self.writer.write(head.encode("latin-1") + body)

    async def head(self) -> Answer:
        """Read an answer's head."""
        async with asyncio.timeout(PATIENCE_S):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        return Answer(int(lines[0].split()[1]), {name.lower(): value for name, value in headers.items()})

    async def answer(self, *, bodiless: bool = False) -> Answer:
        """Read a whole answer that tells its length."""
        answer = await self.head()
        async with asyncio.timeout(PATIENCE_S):
            length = 0 if bodiless else int(answer.headers["content-length"])
            answer.body = await self.reader.readexactly(length)
        return answer

    async def ask(self, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> Answer:
        """Send a request and read its answer."""
        self.send(target, *headers, method=method, body=body)
        return await self.answer(bodiless=method == "HEAD")

    def abort(self) -> None:
        """Leave at once."""
        self.writer.transport.abort()


@asynccontextmanager
async def client(port: int) -> AsyncIterator[Client]:
    """A connection until the end of the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
