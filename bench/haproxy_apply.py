"""From a change in Redis to HAProxy with 1,000 backends, and what the agent costs while nothing changes.

Each change takes twenty backends out and puts twenty others in; afterwards HAProxy is asked whether it has them.
Usage: python -m bench.haproxy_apply [changes] [seconds]
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
from pathlib import Path
from time import perf_counter

from bench.machine import machine, spread
from fleet.embedded import EmbeddedValkey
from haproxy.answers import STATE, read_slots
from tests.haproxy.rig import Rig, rig
from tests.valkey import folder

COUNT, AT_ONCE = 1000, 20
MOST_MS, MOST_SHARE = 100.0, 0.05
TICKS = os.sysconf("SC_CLK_TCK")


def url(number: int) -> str:
    """An address of loopback that answers connections by refusing them; nothing is sent there."""
    return f"http://127.{number // 250}.{number % 250}.1:9"


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


async def live_places(plane: Rig) -> set[tuple[str, int]]:
    (state,) = await plane.ask(STATE)
    return {slot.place for slot in read_slots(state, {}, {}) if slot.enabled}


async def measure(changes: int, seconds: float) -> int:
    with folder() as path, EmbeddedValkey(path) as store:
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
                assert {(one[7:-2], 9) for one in first.values()} == await live_places(plane)
                await asyncio.sleep(1.5)
            same = worker == await plane.worker()
            median = statistics.median(took)
            print(f"applied, {COUNT} backends, {AT_ONCE} changes at once: {spread(took, 'ms')}; "
                  f"must be {MOST_MS:g} ms or less at the median: {median <= MOST_MS}; no reload: {same}")  # fmt: skip
            assert plane.agent is not None
            before = cpu_s(plane.agent.pid)
            await asyncio.sleep(seconds)
            share = (cpu_s(plane.agent.pid) - before) / seconds
            print(f"agent's processor time, {COUNT} backends: {100 * share:.1f} % of a core over {seconds:g} s "
                  f"(must be {100 * MOST_SHARE:g} % or less)")  # fmt: skip
            return int(median > MOST_MS) + int(not same) + int(share > MOST_SHARE)


if __name__ == "__main__":
    print(machine())
    sys.exit(asyncio.run(measure(*(int(one) for one in [*sys.argv[1:], "10", "20"][:2]))))
