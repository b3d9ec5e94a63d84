"""From the first request to an empty fleet, through HAProxy, to the scaler's look at it.

A real fleet at zero (`stoker up --proxy haproxy`); the scaler's decision to start one is what is waited for.
Usage: python -m bench.haproxy_wake [runs]
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from bench.machine import machine, spread
from fleet.clock import Clock
from fleet.errors import StoreUnavailableError
from fleet.store.opening import open_desk
from stoker.demo.client import Client, Kind
from stoker.demo.stage import stage

if TYPE_CHECKING:
    from stoker.demo.stage import Stage

MOST_S = 0.3


async def measure(found: Stage) -> tuple[float, float]:
    """Seconds to the decision, and to the answer."""
    now, proxy = Clock().now, found.settings.proxy
    while True:
        found.check()
        try:
            desk = open_desk(found.settings)
            status = desk.status()
            if status.acting and any(one.generation for one in status.sighting.readings):
                break
        except StoreUnavailableError:
            pass
        await asyncio.sleep(0.1)
    await asyncio.sleep(1.5)
    seen = [key for key, _ in desk.history("", wait_s=0)][-1:]
    sent_at = now()
    asking = asyncio.ensure_future(Client(proxy.listen_address, proxy.listen_port).send(Kind.NEW))
    decided_at = 0.0
    while not decided_at:
        new = await asyncio.to_thread(desk.history, seen[0] if seen else "", wait_s=0.5)
        decided_at = next((one.at for _, one in new if one.kind == "decision"), 0.0)
    await asking
    answered_at = now()
    desk.close()
    return decided_at - sent_at, answered_at - sent_at


def main(runs: int) -> int:
    print(machine())
    decided, answered = [], []
    for _ in range(runs):
        with stage("process", policy={"min": 0, "max": 4}, proxy={"kind": "haproxy"}) as found:
            first, last = asyncio.run(measure(found))
        decided.append(first)
        answered.append(last)
    print(f"first request to an empty fleet, until the scaler has decided: {spread(decided, 's')}; "
          f"must be {MOST_S:g} s or less: {max(decided) <= MOST_S}")  # fmt: skip
    print(f"until its answer, the start of an instance included: {spread(answered, 's')}")
    return int(max(decided) > MOST_S)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
