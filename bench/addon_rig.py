"""What the benchmarks of the mitmproxy addon share: mitmdumps on one core, backends and load on another."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from typing import TYPE_CHECKING

from fleet.backend import Backend, Phase
from fleet.embedded import EmbeddedValkey
from fleet.registry import Change, Summary
from fleet.settings import load
from fleet.store.opening import open_registry

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
MITMDUMP = Path(sys.executable).with_name("mitmdump")
FLEET = "bench"
PROXY_CORE, LOAD_CORE = 0, 1
READY_S = 20.0


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running mitmdump."""

    name: str
    url: str
    pid: int

    @property
    def cpu_s(self) -> float:
        """Processor seconds it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def rss_mb(self) -> float:
        """Resident memory now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw in one run."""

    requests: int
    rps: float
    cpu_us: float
    failed: int


@contextmanager
def proxies(*wanted: str) -> Iterator[list[Proxy]]:
    """Running mitmdumps: `bare` over one backend, `pruned` (the same addons removed) over it, `addon` over three."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        backends = _pinned(LOAD_CORE, sys.executable, str(ROOT / "bench" / "backend_server.py"), "0", "0", "0")
        stack.callback(_end, backends)
        assert backends.stdout is not None
        ports = [int(port) for port in backends.stdout.readline().split()]
        server = stack.enter_context(EmbeddedValkey(folder))
        _publish(server.url, ports)
        running = []
        for name in wanted:
            process, url = _start(name, ports[0], server.url, folder)
            stack.callback(_end, process)
            running.append(Proxy(name, url, process.pid))
        yield running


def wrk(proxy: Proxy, seconds: float, connections: int = 32) -> Load:
    """Load one proxy."""
    before_s = proxy.cpu_s
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}", proxy.url]
    ran = _pinned(LOAD_CORE, *argv)
    said, _ = ran.communicate()
    used_s = proxy.cpu_s - before_s
    requests = int(_number(r"(\d+) requests in", said))
    failed = int(_number(r"Non-2xx or 3xx responses: (\d+)", said, 0)) + sum(
        int(count) for count in re.findall(r"(?:connect|read|write|timeout) (\d+)", said)
    )
    return Load(requests, _number(r"Requests/sec: +([\d.]+)", said), 1e6 * used_s / max(requests, 1), failed)


def machine() -> str:
    """What the numbers belong to."""
    model = next((line.split(": ")[1] for line in _cpuinfo() if line.startswith("model name")), platform.machine())
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"


def _cpuinfo() -> list[str]:
    return Path("/proc/cpuinfo").read_text("utf-8").splitlines()


def _start(name: str, port: int, redis_url: str, folder: Path) -> tuple[subprocess.Popen[str], str]:
    target = "http://stoker" if name == "addon" else f"http://127.0.0.1:{port}"
    script = {
        "bare": [],
        "pruned": ["-s", str(ROOT / "bench" / "addon_pruned.py")],
        "addon": ["-s", str(ROOT / "addon" / "main.py"), "--set", f"stoker_fleet={FLEET}"],
    }[name]
    argv = [str(MITMDUMP), *script, "--mode", f"reverse:{target}@127.0.0.1:0", "--set", f"confdir={folder / 'conf'}"]
    argv += ["--set", "flow_detail=0", "--set", "connection_strategy=lazy"]
    environment = {"STOKER_REDIS_URL": redis_url, "STOKER_STATE_DIR": str(folder), "PYTHONUNBUFFERED": "1"}
    process = _pinned(PROXY_CORE, *argv, environment=environment)
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"listening at 127\.0\.0\.1:(\d+)", line):
            # Each line it says from now on is read, or the pipe would fill and stop it.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return process, f"http://127.0.0.1:{found[1]}/"
    raise RuntimeError(f"{name} did not start")


def _publish(redis_url: str, ports: list[int]) -> None:
    registry = open_registry(load(None, fleet=FLEET, redis_url=redis_url))
    lease = registry.acquire("bench")
    assert lease is not None
    entries = {
        f"production{number}": Backend(f"production{number}", Phase.SERVING, f"http://127.0.0.1:{port}")
        for number, port in enumerate(ports, start=1)
    }
    registry.publish(lease, Change(entries, len(entries), Summary("UP", len(entries))))


def _pinned(core: int, *argv: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["taskset", "-c", str(core), *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | (environment or {}),
    )


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def _number(pattern: str, text: str, default: float | None = None) -> float:
    found = re.search(pattern, text)
    if found is None and default is None:
        raise RuntimeError(f"wrk said: {text[-200:]}")
    return float(found[1]) if found else float(default or 0)
