"""How long from the decision to the first answer, through the proxy, of a new Docker container: boot of 0.3 s included.

By the Docker actuator one container at a time; by Ansible ten at once, until the last of them has answered. The engine
is the one that answers, or one of the tests' own. Usage: python -m bench.first_answer [runs]
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from bench.machine import machine, spread
from fleet.clock import Clock
from fleet.registry import Order, OrderKind
from stoker.demo.client import Client, Kind
from stoker.demo.load import Load
from stoker.demo.run import serving_desk
from stoker.demo.stage import stage
from tests.engine import using_engine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stoker.demo.stage import Stage

RATE_RPS = 18.0  # what the first container carries alone
WITHIN_S = 90.0
CASES = (("docker", 1, 1.0), ("ansible", 10, 8.0))


def measure(actuator: str, more: int) -> float:
    """Seconds from the decision to start `more` containers until each of them has answered a request."""
    changes: dict[str, Mapping[str, object]] = {
        "policy": {"max": 1 + more},
        "instance": {"env": {"BOOT_US": "300000"}},
    }
    with stage(actuator, **changes) as found:
        return asyncio.run(_first_answers(found, more))


async def _first_answers(found: Stage, more: int) -> float:
    desk = await serving_desk(found)
    proxy, now = found.settings.proxy, Clock().now
    load = Load(Client(proxy.listen_address, proxy.listen_port), now, [Kind.NEW])

    def all_answered() -> bool:
        return len(load.first_answers) == 1 + more

    sending = asyncio.ensure_future(load.run(lambda _: RATE_RPS, WITHIN_S, all_answered))
    await asyncio.wait([sending], timeout=1.0)
    desk.place(Order(OrderKind.SCALE, 1 + more))
    await sending
    assert all_answered(), f"{len(load.first_answers)} of {1 + more} answered within {WITHIN_S:g} s"
    decided = [one.at for _, one in desk.history("", wait_s=0) if one.kind == "decision"]
    return max(load.first_answers.values()) - decided[-1]


def main(runs: int) -> int:
    print(machine())
    missed = 0
    with using_engine() as engine:
        os.environ["DOCKER_HOST"] = engine.address
        for actuator, more, limit_s in CASES:
            values = [measure(actuator, more) for _ in range(runs)]
            missed += max(values) > limit_s
            print(f"{actuator}, {more} at once: {spread(values, 's')}; must be {limit_s:g} s: {max(values) <= limit_s}")
    return missed


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
