"""All that runs in a live run: a server, scalers, proxies of both kinds, instances as processes; and its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet.settings import Settings, load
from haproxy.render import places
from tests.chaos.live.link import Link
from tests.chaos.live.part import Part, until
from tests.chaos.live.server import Server, faked_clock
from tests.chaos.live.watch import Watch
from tests.valkey import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

ROOT = Path(__file__).resolve().parents[3]
APP_FILE, STEPPED_FILE = Path(__file__).with_name("app.py"), Path(__file__).with_name("stepped.py")
APP = "web"
MARK = "CHAOS_RUN"
NO_ROOM, AGAIN_S = "No space left on device", 1.0
TABLES: dict[str, dict[str, Any]] = {
    "policy": {
        "min": 1,
        "max": 6,
        "target_rps": 8.0,
        "stable_window_s": 8.0,
        "panic_window_s": 2.0,
        "stabilisation_s": 6.0,
    },
    "life": {
        "start_timeout_s": 15.0,
        "drain_timeout_s": 8.0,
        "stop_grace_s": 3.0,
        "stop_timeout_s": 15.0,
        "backoff_max_s": 8.0,
        "probe_serving_s": 3.0,
        "probe_timeout_s": 2.0,
        "proxy_forget_s": 20.0,
    },
    "proxy": {"drain_s": 8.0, "hold_s": 50.0},
    "haproxy": {"threads": 1, "client_timeout_s": 80.0, "server_timeout_s": 80.0, "queue_timeout_s": 50.0},
    "web": {"enabled": False},
}


@dataclass(slots=True)
class Plane:
    """One data plane: what clients connect to, and for HAProxy the agent beside it."""

    id: str
    kind: str
    port: int
    front: Part
    agent: Part | None = None

    @property
    def up(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@dataclass(slots=True)
class Stage:
    """What runs. `links` are by party: each scaler's and each proxy's own way to the server."""

    folder: Path
    mark: str
    server: Server
    settings: Settings
    record: Path
    scalers: list[Part] = field(default_factory=list)
    planes: list[Plane] = field(default_factory=list)
    links: dict[str, Link] = field(default_factory=dict)
    clocks: dict[str, Path] = field(default_factory=dict)
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(self.settings, self.record)

    def use(self, url: str) -> None:
        """Have every party find the server by this url instead of by its link."""
        for part in self.parts:
            part.variables = {**part.variables, "STOKER_REDIS_URL": url}
        self.settings = load(self.folder / "stoker.toml", redis_url=url)
        self.watch = Watch(self.settings, self.record)

    @property
    def parts(self) -> list[Part]:
        fronts = [part for plane in self.planes for part in (plane.front, plane.agent) if part is not None]
        return [self.server.part, *self.scalers, *fronts]

    def part(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)

    def plane(self, name: str) -> Plane:
        return next(plane for plane in self.planes if plane.id == name)

    @property
    def state(self) -> Path:
        return self.settings.state_path

    def start_scaler(self, part: Part) -> None:
        """A scaler that starts puts the trace aside that it finds; the harness keeps all of them by other names."""
        self.keep_traces()
        part.start()

    def keep_traces(self) -> None:
        kept = self.state / "kept"
        kept.mkdir(exist_ok=True, parents=True)
        for path in self.state.glob(f"{APP}.scaler*.trace*"):
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                os.link(path, kept / f"{path.stat().st_ino}.trace")

    async def start_plane(self, plane: Plane) -> None:
        if plane.kind == "haproxy":
            await self.hook(plane)
        plane.front.start()
        await until(lambda: plane.up, f"{plane.id} listens")
        plane.front.ups.append(time.monotonic())

    async def hook(self, plane: Plane) -> None:
        """What HAProxy's unit does before it starts, and again while the disk is full."""
        while said := await self._hooked(plane):
            assert NO_ROOM in said, said
            await asyncio.sleep(AGAIN_S)

    async def _hooked(self, plane: Plane) -> str:
        """What the hook complained of; nothing where it did its work."""
        argv = [sys.executable, "-P", "-m", "stoker", "haproxy", "hook", "--config", str(self.folder / "stoker.toml")]
        variables = {name: value for name, value in plane.front.variables.items() if name != "LD_PRELOAD"}
        process = await asyncio.create_subprocess_exec(
            *argv, env=variables, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        _, said = await process.communicate()
        return said.decode() if process.returncode else ""

    def instances(self) -> dict[str, int]:
        """The instances that really run: names and pids."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if str(APP_FILE).encode() in words and self._ours(entry) and words[1:2] != [b"-I"]:
                    found[words[words.index(b"--name") + 1].decode()] = int(entry.name)
        return found

    def left(self) -> list[str]:
        """Every process that the run has started, wherever it went."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if int(entry.name) != os.getpid() and self._ours(entry):
                    words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if words:
                        found.append(f"{entry.name} {words[:150]}")
        return found

    def _ours(self, entry: Path) -> bool:
        return f"{MARK}={self.mark}".encode() in (entry / "environ").read_bytes().split(b"\0")

    def command(self, *words: str) -> str:
        """One `stoker` command to its end: what it printed."""
        url = self.settings.redis_url
        assert url is not None
        variables = dict(self.scalers[0].variables) | {"STOKER_REDIS_URL": url.get_secret_value()}
        argv = [sys.executable, "-P", "-m", "stoker", *words, "--config", str(self.folder / "stoker.toml")]
        variables.pop("LD_PRELOAD", None)
        return subprocess.run(argv, env=variables, capture_output=True, text=True, check=True).stdout


@asynccontextmanager
async def stage(
    proxies: tuple[str, ...] = ("mitmproxy", "haproxy"),
    scalers: int = 2,
    tables: Mapping[str, Mapping[str, Any]] | None = None,
    boot_s: float = 0.3,
    *,
    fake_clocks: bool = False,
    disk_mb: int = 0,
    sentinels: Callable[[Path, Server], AbstractAsyncContextManager[str]] | None = None,
    past: Callable[[Settings], None] | None = None,
) -> AsyncIterator[Stage]:
    """A running stage at its smallest size, gone at the end.

    `disk_mb` keeps its state on a disk so small; `sentinels` gives the url by which all find the master; `past` writes
    into the store what is to be there before anybody else begins.
    """
    folder = Path(tempfile.mkdtemp(prefix="stoker-chaos-"))
    try:
        made = await _made(folder, proxies, scalers, tables or {}, boot_s, fake_clocks=fake_clocks, disk_mb=disk_mb)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(_end, made)
            await made.server.start()
            if past is not None:
                await asyncio.to_thread(past, made.settings)
            if sentinels is not None:
                made.use(await stack.enter_async_context(sentinels(folder, made.server)))
            try:
                await _begin(made)
                yield made
            except BaseException:
                print(*made.watch.told(), sep="\n")
                raise
    finally:
        if disk_mb:
            await asyncio.to_thread(_run, "umount", str(folder / "state"))
        if os.environ.get("CHAOS_KEEP"):
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder)


async def _made(
    folder: Path,
    proxies: tuple[str, ...],
    scalers: int,
    tables: Mapping[str, Mapping[str, Any]],
    boot_s: float,
    *,
    fake_clocks: bool,
    disk_mb: int,
) -> Stage:
    mark, record, state = uuid.uuid4().hex, folder / "record", folder / "state"
    record.mkdir()
    state.mkdir()
    if disk_mb:
        await asyncio.to_thread(_run, "mount", "-t", "tmpfs", "-o", f"size={disk_mb}m", "tmpfs", str(state))
    clocks = {name: folder / f"{name}.clock" for name in ("server", "machine")}
    fakes = {name: faked_clock(path) if fake_clocks else {} for name, path in clocks.items()}
    config = folder / "stoker.toml"
    argv = [sys.executable, "-S", str(APP_FILE), "--port", "{port}", "--name", "{name}", "--boot", str(boot_s)]
    content = {name: {**TABLES.get(name, {}), **tables.get(name, {})} for name in {*TABLES, *tables}}
    content["instance"] = {"command": argv, **tables.get("instance", {})}
    content["actuator"] = {"kind": "process", **tables.get("actuator", {})}
    lines = [f'fleet = "chaos"\napp = "{APP}"\nstate_dir = "{state}"\n']
    for name, values in content.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    lines += ["[instance.env]", f'RECORD = "{record}"', f'{MARK} = "{mark}"']
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    server = Server(folder / "data", free_port(), {MARK: mark} | fakes["server"])
    made = Stage(folder, mark, server, load(config, redis_url=server.url), record, clocks=clocks)
    variables = {key: value for key, value in os.environ.items() if not key.startswith("STOKER_")}
    variables |= {MARK: mark, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | fakes["machine"]
    for number in range(scalers):
        name = f"scaler{number + 1}"
        made.links[name] = Link(server.port, free_port())
        own = variables | {"STOKER_REDIS_URL": _url(made.links[name]), "STOKER_SCALER_ID": name}
        argv = [sys.executable, "-P", "-m", "stoker", "scaler", "--config", str(config)]
        made.scalers.append(Part(name, argv, own, folder / f"{name}.log"))
    for number, kind in enumerate(proxies):
        made.planes.append(_plane(made, f"proxy{number + 1}", kind, variables))
    return made


def _plane(made: Stage, name: str, kind: str, variables: dict[str, str]) -> Plane:
    folder, port = made.folder, free_port()
    link = made.links[name] = Link(made.server.port, free_port())
    config = folder / "stoker.toml"
    own = variables | {"STOKER_REDIS_URL": _url(link), "STOKER_PROXY__ID": name, "STOKER_PROXY__LISTEN_PORT": str(port)}
    if kind == "mitmproxy":
        mitmdump = str(Path(sys.executable).with_name("mitmdump"))
        argv = [mitmdump, "-q", "-s", str(ROOT / "addon" / "main.py"), "--set", f"confdir={folder / name}"]
        argv += ["--mode", f"reverse:http://stoker@127.0.0.1:{port}", "--set", f"stoker_config={config}"]
        return Plane(name, kind, port, Part(name, argv, own, folder / f"{name}.log"))
    binary = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin") or "haproxy"
    own |= {
        "STOKER_HAPROXY__BINARY": binary,
        "STOKER_HAPROXY__CONFIG_FILE": str(folder / name / "haproxy.cfg"),
        "STOKER_HAPROXY__SOCKETS_DIR": str(folder / name),
    }
    (folder / name).mkdir(mode=0o700)
    where = places(
        load(config, **{"haproxy.config_file": folder / name / "haproxy.cfg", "haproxy.sockets_dir": folder / name})
    )
    argv = [binary, "-W", "-S", f"{where.master},mode,600", "-f", str(where.config)]
    entry = [str(STEPPED_FILE)] if "LD_PRELOAD" in own else ["-m", "stoker"]
    agent = [sys.executable, "-P", *entry, "haproxy", "agent", "--config", str(config)]
    return Plane(
        name,
        kind,
        port,
        Part(name, argv, own, folder / f"{name}.log"),
        Part(f"{name}.agent", agent, own, folder / f"{name}.agent.log"),
    )


def _url(link: Link) -> str:
    return f"redis://127.0.0.1:{link.port}/0"


async def _begin(made: Stage) -> None:
    for link in made.links.values():
        await link.open()
    made.watch.start()
    for scaler in made.scalers:
        made.start_scaler(scaler)
    await until(lambda: bool(made.watch.acting), "a scaler acts")
    for plane in made.planes:
        await made.start_plane(plane)
        if plane.agent is not None:
            plane.agent.start()
    await until(lambda: made.watch.settled(made.settings.policy.min, len(made.planes)), "the fleet rests")


async def _end(made: Stage) -> None:
    made.keep_traces()
    for part in made.parts:
        if part.paused:
            part.resume()
    for part in (*made.scalers, *(p for plane in made.planes for p in (plane.front, plane.agent) if p)):
        if part.process is not None:
            part.kill()
    await made.watch.stop()
    for link in made.links.values():
        link.close()
    made.server.part.kill()
    await until(lambda: not _killed(made), "every process is gone")


def _killed(made: Stage) -> list[str]:
    """Kill what is left; what that was."""
    left = made.left()
    for line in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.split()[0]), signal.SIGKILL)
    return left


def _run(*words: str) -> None:
    subprocess.run(words, check=True)
