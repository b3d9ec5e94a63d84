"""The demo's fleet behind HAProxy, from 1 instance to 10 and back to 1: requests that failed, and reloads.

Usage: python -m bench.haproxy_demo [seconds]
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from bench.machine import machine
from fleet.clock import Clock
from stoker.demo.client import Client, Kind
from stoker.demo.load import Load
from stoker.demo.run import serving_desk
from stoker.demo.stage import stage

if TYPE_CHECKING:
    from stoker.demo.stage import Stage

MOST, TARGET_RPS, PEAK_RPS, REST_RPS = 10, 6.0, 60.0, 4.0
KINDS = (Kind.KEPT, Kind.NEW, Kind.POST, Kind.KEPT, Kind.NEW, Kind.WEBSOCKET)


def shape(seconds: float, at_s: float) -> float:
    """Rest, a climb, the peak, rest again."""
    share = at_s / seconds
    if share < 0.15 or share > 0.55:
        return REST_RPS
    return min(PEAK_RPS, REST_RPS + (PEAK_RPS - REST_RPS) * (share - 0.15) / 0.2)


async def measure(found: Stage, seconds: float) -> int:
    desk = await serving_desk(found)
    proxy = found.settings.proxy
    load = Load(Client(proxy.listen_address, proxy.listen_port), Clock().now, KINDS)
    sending = asyncio.ensure_future(load.run(lambda at_s: shape(seconds, at_s), seconds))
    sizes = []
    while not sending.done():
        snapshot = (await asyncio.to_thread(desk.status)).snapshot
        sizes.append(sum(one.phase == "serving" for one in snapshot.backends.values()) if snapshot else 0)
        await asyncio.wait([sending], timeout=0.2)
    await sending
    reloads = (found.settings.state_path / "logs" / "agent.log").read_text().count('"reloaded"')
    good = not load.failed and not reloads and (sizes[0], max(sizes), sizes[-1]) == (1, MOST, 1)
    way = f"{sizes[0]} to {max(sizes)} to {sizes[-1]} instances in {seconds:g} s"
    faults = f" {dict(load.faults)}" if load.failed else ""
    print(f"{way}: {load.sent} requests, {len(load.failed)} failed{faults}, {reloads} reloads; must be 0 and 0: {good}")
    return int(not good)


def main(seconds: float) -> int:
    print(machine())
    policy = {"max": MOST, "target_rps": TARGET_RPS}
    with stage("process", policy=policy, proxy={"kind": "haproxy"}) as found:
        return asyncio.run(measure(found, seconds))


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0))
