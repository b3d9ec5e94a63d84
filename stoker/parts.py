"""The parts that `stoker up` keeps running: how each is started, when it is ready, how it ends."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fleet.embedded import EmbeddedValkey, end_stale, running_url
from fleet.errors import StoreUnavailableError
from fleet.process import start_mark
from fleet.settings import Settings
from fleet.store.opening import open_desk
from stoker.processes import Process, end, exit_code, launch

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
LOG_BYTES = 10_000_000
LOG_TAIL_BYTES = 4096
LEAVE_WITHIN_S = 15.0


class Ending(Enum):
    """What becomes of the instances when Stoker ends."""

    STOP_ALL = "stop all"
    LEAVE = "leave the instances running"


class Part(Protocol):
    """One long-running process of Stoker."""

    @property
    def name(self) -> str:
        """What people and up.json call it."""

    def start(self, noted: Callable[[Process], None]) -> Process:
        """Start it. Raises StoreUnavailableError or OSError, one line, where it cannot be."""

    def ready(self, process: Process) -> str | None:
        """A line that says what it does now, None until it does it."""

    def last_words(self, process: Process) -> str:
        """Why it ended, in one line."""

    def end(self, process: Process, ending: Ending, pause: Callable[[float], bool]) -> bool:
        """End it in order; False where it had to be killed."""


@dataclass(slots=True)
class ValkeyPart:
    """The embedded server."""

    settings: Settings
    name: str = "valkey"
    _server: EmbeddedValkey = field(init=False)

    def __post_init__(self) -> None:
        self._server = EmbeddedValkey(self.settings.state_path)

    def start(self, noted: Callable[[Process], None]) -> Process:
        """Returns once it answers; it keeps a note of its own until then."""
        self._server.start()
        pid = self._server.pid or 0
        process = Process(pid, start_mark(pid) or "")
        noted(process)
        return process

    def ready(self, process: Process) -> str | None:
        """Since `start` returned."""
        del process
        return f"keeps the fleet's data in {self._server.folder}"

    def last_words(self, process: Process) -> str:
        """It writes its own log."""
        del process
        return f"ended; its log is {self._server.folder / 'valkey.log'}"

    def end(self, process: Process, ending: Ending, pause: Callable[[float], bool]) -> bool:
        """Whoever started it; its data stays."""
        del process, ending, pause
        if self._server.pid:
            self._server.stop()
        elif running_url(self.settings.state_path):
            end_stale(self.settings.state_path)
        return True


@dataclass(slots=True)
class ProxyPart:
    """mitmdump with the addon."""

    settings: Settings
    config: Path | None = None
    name: str = "proxy"

    def start(self, noted: Callable[[Process], None]) -> Process:
        """Its settings come from the same file and environment as ours."""
        proxy = self.settings.proxy
        argv = [
            _program("mitmdump"),
            *("--scripts", str(ROOT / "addon" / "main.py")),
            *("--mode", f"reverse:http://stoker@{proxy.listen_address}:{proxy.listen_port}"),
            *("--set", f"confdir={self.settings.state_path / 'mitmproxy'}"),
            *(("--set", f"stoker_config={self.config}") if self.config else ()),
        ]
        return launch(argv, variables(self.settings), log_path(self.settings, self.name), noted)

    def ready(self, process: Process) -> str | None:
        """Once it takes connections."""
        del process
        proxy = self.settings.proxy
        if not listens(proxy.listen_address, proxy.listen_port):
            return None
        return f"listens on http://{proxy.listen_address}:{proxy.listen_port}"

    def last_words(self, process: Process) -> str:
        """The end of its log."""
        return last_words(process, log_path(self.settings, self.name))

    def end(self, process: Process, ending: Ending, pause: Callable[[float], bool]) -> bool:
        """It lets the requests in flight finish."""
        del ending
        return end(process, signal.SIGTERM, self.settings.proxy.drain_s + 5, pause)


@dataclass(slots=True)
class ScalerPart:
    """`stoker scaler`."""

    settings: Settings
    config: Path | None = None
    name: str = "scaler"

    def start(self, noted: Callable[[Process], None]) -> Process:
        """Its settings come from the same file and environment as ours."""
        config = ("--config", str(self.config)) if self.config else ()
        argv = [sys.executable, "-P", "-m", "stoker", "scaler", *config]
        return launch(argv, variables(self.settings), log_path(self.settings, self.name), noted)

    def ready(self, process: Process) -> str | None:
        """Once it holds the lease, or waits behind another that does."""
        try:
            with closing(open_desk(self.settings)) as desk:
                status = desk.status()
        except StoreUnavailableError:
            return None
        own = self.settings.scaler_id or f"{socket.gethostname()}-{process.pid}"
        if status.acting == own:
            policy = self.settings.policy
            return f"acts: {policy.min} to {policy.max} instances by {self.settings.actuator.kind}"
        return f"waits behind {status.acting}" if own in dict(status.scalers) and status.acting else None

    def last_words(self, process: Process) -> str:
        """The end of its log."""
        return last_words(process, log_path(self.settings, self.name))

    def end(self, process: Process, ending: Ending, pause: Callable[[float], bool]) -> bool:
        """SIGINT asks it to stop every instance first; drains take their time."""
        if ending is Ending.LEAVE:
            return end(process, signal.SIGTERM, LEAVE_WITHIN_S, pause)
        life = self.settings.life
        return end(process, signal.SIGINT, life.drain_timeout_s + life.stop_grace_s + life.stop_timeout_s, pause)


@dataclass(slots=True)
class WebPart:
    """`stoker web`."""

    settings: Settings
    config: Path | None = None
    name: str = "web"

    def start(self, noted: Callable[[Process], None]) -> Process:
        """Its settings come from the same file and environment as ours."""
        config = ("--config", str(self.config)) if self.config else ()
        argv = [sys.executable, "-P", "-m", "stoker", "web", *config]
        return launch(argv, variables(self.settings), log_path(self.settings, self.name), noted)

    def ready(self, process: Process) -> str | None:
        """Once it takes connections."""
        del process
        web = self.settings.web
        if not listens(web.listen_address, web.listen_port):
            return None
        return f"shows the fleet on http://{web.listen_address}:{web.listen_port}"

    def last_words(self, process: Process) -> str:
        """The end of its log."""
        return last_words(process, log_path(self.settings, self.name))

    def end(self, process: Process, ending: Ending, pause: Callable[[float], bool]) -> bool:
        """At once: pages that are open try again by themselves."""
        del ending
        return end(process, signal.SIGTERM, LEAVE_WITHIN_S, pause)


@dataclass(slots=True)
class WebhooksPart:
    """`stoker webhooks`."""

    settings: Settings
    config: Path | None = None
    name: str = "webhooks"

    def start(self, noted: Callable[[Process], None]) -> Process:
        """Its settings come from the same file and environment as ours."""
        config = ("--config", str(self.config)) if self.config else ()
        argv = [sys.executable, "-P", "-m", "stoker", "webhooks", *config]
        return launch(argv, variables(self.settings), log_path(self.settings, self.name), noted)

    def ready(self, process: Process) -> str | None:
        """At once: it waits by itself for what it needs."""
        del process
        return "sends messages to the receiver of webhooks.url"

    def last_words(self, process: Process) -> str:
        """The end of its log."""
        return last_words(process, log_path(self.settings, self.name))

    def end(self, process: Process, ending: Ending, pause: Callable[[float], bool]) -> bool:
        """At once: the next one goes on where it got to."""
        del ending
        return end(process, signal.SIGTERM, LEAVE_WITHIN_S, pause)


def all_parts(settings: Settings, config: Path | None) -> list[Part]:
    """In the order of their start; they end the proxy first and the data last."""
    embedded: list[Part] = [] if settings.redis_url else [ValkeyPart(settings)]
    if settings.proxy.kind == "mitmproxy":
        return [*embedded, ScalerPart(settings, config), ProxyPart(settings, config)]
    from stoker.haproxy_parts import AgentPart, HaproxyPart

    return [*embedded, ScalerPart(settings, config), HaproxyPart(settings), AgentPart(settings, config)]


def ending_parts(settings: Settings, config: Path | None) -> list[Part]:
    """The same with all that other settings would have started: to end what an earlier run left behind."""
    from stoker.haproxy_parts import AgentPart

    parts: list[Part] = [*all_parts(settings, config), WebPart(settings, config), WebhooksPart(settings, config)]
    return parts if settings.proxy.kind == "haproxy" else [*parts, AgentPart(settings, config)]


def variables(settings: Settings) -> dict[str, str]:
    """The environment of a child: secrets go this way, because argv is everybody's to read."""
    embedded = EmbeddedValkey(settings.state_path).url
    url = settings.redis_url.get_secret_value() if settings.redis_url else embedded
    token = settings.token()
    return dict(os.environ) | {"STOKER_REDIS_URL": url} | ({"STOKER_PROFILE_TOKEN": token} if token else {})


def listens(address: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((address, port)) == 0


def _program(name: str) -> str:
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise FileNotFoundError(f"{name} is neither in {beside} nor on PATH; install Stoker with pip, which brings it")
    return found


def log_path(settings: Settings, name: str) -> Path:
    """Where this part's output goes; a long one is put aside."""
    path = settings.state_path / "logs" / f"{name}.log"
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path


def last_words(process: Process, log: Path) -> str:
    """How a child of ours ended, and the end of its log."""
    code = exit_code(process)
    if code is not None and code < 0:
        return f"was killed by signal {-code} (log: {log})"
    how = "ended" if code is None else f"ended with exit code {code}"
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    said = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    return f"{how}: {said.removeprefix('stoker: ')[:300]} (log: {log})"
