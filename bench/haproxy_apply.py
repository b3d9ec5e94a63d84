"""From a change in Redis to HAProxy with 1,000 backends, and what the agent costs while nothing changes.

Each change takes twenty backends out and puts twenty others in; afterwards HAProxy is asked whether it has them.
Usage: python -m bench.haproxy_apply [changes] [seconds]
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from bench.machine import machine, spread
from fleet.embedded import EmbeddedValkey
from fleet.settings import load as load_settings
from haproxy.answers import STATE, read_slots
from haproxy.binary import find_binary
from tests.haproxy.rig import Rig, rig
from tests.valkey import folder, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT, AT_ONCE = 1000, 20
FIRST_PORT, PORTS = 20_000, 2_000
CONNECTIONS, PAUSE_MS = 8, 10
MOST_MS, MOST_SHARE = 100.0, 0.05
TICKS = os.sysconf("SC_CLK_TCK")


BEHIND = """defaults
    mode http
    timeout client 60s
    timeout connect 2s
    timeout server 60s
frontend all
    bind 127.0.0.1:{first}-{last}
    http-request return status 200 content-type text/plain string "Hello, world"
"""


def url(number: int) -> str:
    """Every number is a port of one server."""
    return f"http://127.0.0.1:{FIRST_PORT + number}"


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def applied_ms(plane: Rig, names: dict[str, str]) -> float:
    """Until the agent has said that HAProxy took it all, which is a little after HAProxy did."""
    generation = plane.publish(names)
    began = perf_counter()
    while plane.registry.sight(detail=False).readings[0].generation != generation:  # noqa: ASYNC110  # another process
        await asyncio.sleep(0.002)
    return 1000 * (perf_counter() - began)


async def live_ports(plane: Rig) -> set[int]:
    (state,) = await plane.ask(STATE)
    return {slot.port for slot in read_slots(state, {}, {}) if slot.enabled}


@contextmanager
def behind(path: Path) -> Iterator[None]:
    """One haproxy that is all the backends."""
    config = path / "behind.cfg"
    config.write_text(BEHIND.format(first=FIRST_PORT, last=FIRST_PORT + PORTS))
    with serving([find_binary(load_settings(None)).path, "-db", "-f", str(config)], FIRST_PORT):
        yield


async def measure(changes: int, seconds: float) -> int:
    with folder() as path, EmbeddedValkey(path) as store, behind(path):
        async with rig(store, "bench", "system", policy_max=COUNT, check='"none"') as plane:
            first = {f"production{number}": url(number) for number in range(1, COUNT + 1)}
            await plane.applied(plane.publish(first))
            worker, took = await plane.worker(), []
            for change in range(changes):
                kept = list(first)[AT_ONCE:]
                numbers = range(COUNT + 1 + change * AT_ONCE, COUNT + 1 + (change + 1) * AT_ONCE)
                new = {f"production{number}": url(number) for number in numbers}
                first = {name: first[name] for name in kept} | new
                took.append(await applied_ms(plane, first))
                assert {FIRST_PORT + int(name[10:]) for name in first} == await live_ports(plane)
                await asyncio.sleep(1.5)
            same = worker == await plane.worker()
            median = statistics.median(took)
            print(f"applied, {COUNT} backends, {AT_ONCE} changes at once: {spread(took, 'ms')}; "
                  f"must be {MOST_MS:g} ms or less at the median: {median <= MOST_MS}; no reload: {same}")  # fmt: skip
            assert plane.agent is not None
            script = path / "paced.lua"
            script.write_text(f"function delay() return {PAUSE_MS} end")
            load = ["-t1", f"-c{CONNECTIONS}", f"-d{2 * seconds + 2:g}s", "-s", str(script)]
            wrk = await asyncio.create_subprocess_exec(
                "wrk", *load, f"http://127.0.0.1:{plane.port}/", stdout=asyncio.subprocess.DEVNULL
            )
            await asyncio.sleep(seconds)  # by now every backend has had requests
            before = cpu_s(plane.agent.pid)
            await asyncio.sleep(seconds)
            share = (cpu_s(plane.agent.pid) - before) / seconds
            await wrk.wait()
            reading = plane.reading()
            used = sum(one.arrivals > 0 for one in ((reading and reading.backends) or {}).values())
            print(f"agent's processor time, {used} backends with requests: {100 * share:.1f} % of a core over "
                  f"{seconds:g} s (must be {100 * MOST_SHARE:g} % or less)")  # fmt: skip
            return int(median > MOST_MS) + int(not same) + int(share > MOST_SHARE)


if __name__ == "__main__":
    print(machine())
    sys.exit(asyncio.run(measure(*(int(one) for one in [*sys.argv[1:], "10", "20"][:2]))))
