"""What Stoker's configuration costs HAProxy: processor time a request and p99, against a minimal hand-written file.

Both run on one thread before the same three backends, by turns; the minimal file against itself shows the noise.
Usage: python -m bench.haproxy_cost [pairs] [seconds]
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.machine import machine
from fleet.settings import load
from haproxy.binary import find_binary
from haproxy.config_file import have_map
from haproxy.model import Slot, slot_name
from haproxy.render import frame
from tests.valkey import free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

TICKS = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 32
MOST_COST, MOST_P99 = 1.15, 1.25
TIMEOUTS = "timeout connect 2s\n    timeout client 60s\n    timeout server 60s"
BACKENDS = """global
    nbthread 1
defaults
    mode http
    {timeouts}
frontend all
{binds}
    http-request return status 200 content-type text/plain string "Hello, world"
"""
MINIMAL = """global
    nbthread 1
defaults
    mode http
    {timeouts}
frontend web
    bind 127.0.0.1:{port}
    default_backend app
backend app
    balance roundrobin
{servers}
"""
PACED = """local pause = tonumber(os.getenv("PAUSE_MS"))
function delay() return pause end
"""


def minimal(port: int, backends: list[int]) -> str:
    servers = "\n".join(f"    server s{at} 127.0.0.1:{one}" for at, one in enumerate(backends))
    return MINIMAL.format(timeouts=TIMEOUTS, port=port, servers=servers)


def ours(folder: Path, port: int, backends: list[int]) -> str:
    settings = load(None, state_dir=folder, **{"proxy.listen_port": port, "haproxy.threads": 1})
    (folder / settings.fleet / "haproxy").mkdir(parents=True)
    have_map(folder / settings.fleet / "haproxy" / "haproxy.cfg.canary")
    live = [
        Slot(slot_name(at), "127.0.0.1", one, enabled=True, holder=f"production{at}")
        for at, one in enumerate(backends, 1)
    ]
    return frame(settings).text([*live, *(Slot(slot_name(at)) for at in range(len(live) + 1, 21))])


@contextmanager
def running(folder: Path, name: str, text: str, port: int) -> Iterator[int]:
    """A haproxy with that file; its pid."""
    path = folder / f"{name}.cfg"
    path.write_text(text)
    with serving([find_binary(load(None)).path, "-db", "-f", str(path)], port) as process:
        yield process.pid


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def wrk(port: int, seconds: float, *, pause_ms: float | None = None, script: Path | None = None) -> tuple[int, float]:
    """How many requests were answered, and the 99th percentile in ms."""
    paced = ["-s", str(script)] if pause_ms is not None else []
    said = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--latency", *paced, f"http://127.0.0.1:{port}/"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PAUSE_MS": str(pause_ms)},
    ).stdout
    assert "Non-2xx" not in said, said
    answered = re.search(r"(\d+) requests in", said)
    found = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", said)
    assert answered, said
    assert found, said
    return int(answered[1]), float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]


def cost_us(pid: int, port: int, seconds: float) -> float:
    before = cpu_s(pid)
    answered, _ = wrk(port, seconds)
    return 1e6 * (cpu_s(pid) - before) / answered


def ratio(first: list[float], second: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(first, second, strict=True))


def main(pairs: int, seconds: float) -> int:
    print(machine())
    print(find_binary(load(None)))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = [free_port() for _ in range(3)]
        binds = "\n".join(f"    bind 127.0.0.1:{port}" for port in ports)
        behind = BACKENDS.format(timeouts=TIMEOUTS, binds=binds)
        stack.enter_context(running(folder, "backends", behind, ports[0]))
        plain, again, full = free_port(), free_port(), free_port()
        pids = {
            plain: stack.enter_context(running(folder, "minimal", minimal(plain, ports), plain)),
            again: stack.enter_context(running(folder, "again", minimal(again, ports), again)),
            full: stack.enter_context(running(folder, "ours", ours(folder, full, ports), full)),
        }
        costs: dict[int, list[float]] = {port: [] for port in pids}
        for _ in range(pairs):
            for port, pid in pids.items():
                costs[port].append(cost_us(pid, port, seconds))
        cost = ratio(costs[full], costs[plain])
        print(
            f"processor time a request, median of {pairs}: minimal {statistics.median(costs[plain]):.1f} us, "
            f"ours {statistics.median(costs[full]):.1f} us, ratio {cost:.3f} (must be {MOST_COST} or less); "
            f"minimal against itself {ratio(costs[again], costs[plain]):.3f}"
        )
        script = folder / "paced.lua"
        script.write_text(PACED)
        saturating = statistics.median(wrk(plain, seconds)[0] / seconds for _ in range(3))
        pause_ms = 1000 * CONNECTIONS / (saturating / 2)
        late: dict[int, list[float]] = {port: [] for port in pids}
        rates: dict[int, list[float]] = {port: [] for port in pids}
        for _ in range(pairs):
            for port in pids:
                answered, p99 = wrk(port, seconds, pause_ms=pause_ms, script=script)
                late[port].append(p99)
                rates[port].append(answered / seconds)
        median = {port: statistics.median(values) for port, values in late.items()}
        p99 = median[full] / median[plain]
        print(
            f"p99 at {statistics.median(rates[plain]):.0f} and {statistics.median(rates[full]):.0f} requests a second "
            f"(saturating: {saturating:.0f}), median of {pairs}: minimal {median[plain]:.2f} ms, "
            f"ours {median[full]:.2f} ms, ratio {p99:.3f} (must be {MOST_P99} or less); "
            f"minimal against itself {median[again] / median[plain]:.3f}"
        )
    return int(cost > MOST_COST) + int(p99 > MOST_P99)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10, float(sys.argv[2]) if len(sys.argv) > 2 else 3.0))
