"""How many requests are lost over 20 scale-ups and 20 scale-downs under steady load, by clients that never try again.

New and kept connections, 10 % POST with a body, 10 % answers that take 3 s, 5 % websockets. The fleet is that of
`stoker up` with local processes; it is ordered from one instance to three and back.
Usage: python -m bench.lost_requests [times]
"""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING

from bench.machine import machine
from fleet.backend import Phase
from fleet.clock import Clock
from fleet.registry import Order, OrderKind
from stoker.configured import sample_command
from stoker.demo.client import Client, Kind
from stoker.demo.load import Load
from stoker.demo.run import serving_desk
from stoker.demo.stage import stage

if TYPE_CHECKING:
    from fleet.store.desk import RedisDesk

RATE_RPS = 40.0
LOOK_S, LOOKS = 0.1, 600
FEW, MANY = 1, 3
MIX = [Kind.KEPT, Kind.NEW] * 8 + [Kind.POST, Kind.SLOW] * 2
MIX[3] = Kind.WEBSOCKET


def change(desk: RedisDesk, times: int) -> None:
    """Order the fleet up and down; each change is complete, with nothing leaving, before the next."""
    never = threading.Event()
    for _ in range(times):
        for count in (MANY, FEW):
            desk.place(Order(OrderKind.SCALE, count))
            for _ in range(LOOKS):
                if phases(desk) == [Phase.SERVING] * count:
                    break
                never.wait(LOOK_S)
            else:
                raise AssertionError(f"not {count} after {LOOKS * LOOK_S:g} s: {phases(desk)}")


def phases(desk: RedisDesk) -> list[Phase]:
    """The phases of all backends."""
    snapshot = desk.status().snapshot
    return [backend.phase for backend in snapshot.backends.values()] if snapshot else []


async def disturb(load: Load, desk: RedisDesk, times: int) -> None:
    """Keep the load up as long as the changes take."""
    changing = asyncio.ensure_future(asyncio.to_thread(change, desk, times))
    sending = asyncio.ensure_future(load.run(lambda _: RATE_RPS, times * 2 * LOOKS * LOOK_S, changing.done))
    await changing
    await sending


def main(times: int) -> int:
    print(machine())
    with stage("process", instance={"command": [*sample_command(), "--rate", "200"]}) as found:
        proxy = found.settings.proxy
        desk = asyncio.run(serving_desk(found))
        load = Load(Client(proxy.listen_address, proxy.listen_port), Clock().now, MIX)
        asyncio.run(disturb(load, desk, times))
        changes = [one for _, one in desk.history("", wait_s=0) if one.kind == "instance"]
    ups = sum(one.after == Phase.SERVING for one in changes)
    downs = sum(one.after == Phase.DRAINING for one in changes)
    print(f"{times} scale-ups and {times} scale-downs: {ups} instances came, {downs} were drained")
    print(f"{load.sent} requests, {len(load.failed)} lost; must be 0")
    for fault, count in load.faults.items():
        print(f"  {count} x {fault}")
    return len(load.failed)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
