"""From zero: 50 requests at once wake the fleet by being held, and all are answered. On each plane alone.

python -m tests.chaos.live.zero [mitmproxy|haproxy]
"""

from __future__ import annotations

import asyncio
import sys

from stoker.demo.client import Kind
from tests.chaos.live.directed import Found, alone
from tests.chaos.live.load import Load
from tests.chaos.live.part import until
from tests.chaos.live.stage import stage

AT_ONCE, BOOT_S, SPARE_S = 50, 1.0, 1.5
TABLES = {"policy": {"min": 0}}


async def zero(plane: str = "mitmproxy", rounds: int = 3) -> Found:
    """So many times from an empty fleet."""
    found = Found()
    async with stage((plane,), tables=TABLES, boot_s=BOOT_S) as made:
        for _ in range(rounds):
            await until(lambda: not made.instances() and not made.watch.last.backends, "the fleet is empty", 60)
            load = Load("proxy1", made.planes[0].port)
            answers = await asyncio.gather(*(load.one(Kind.NEW) for _ in range(AT_ONCE)))
            slowest = max(one.ended_at - one.sent_at for one in answers)
            lost = [str(one) for one in answers if one.fault]
            found.facts.append(f"{plane}: {AT_ONCE - len(lost)} of {AT_ONCE} answered")
            found.broken += lost
            found.within(f"{plane}: slowest answer, an instance boots in {BOOT_S:g} s", slowest, BOOT_S + SPARE_S)
    return found


if __name__ == "__main__":
    sys.exit(alone(zero(sys.argv[1] if len(sys.argv) > 1 else "mitmproxy")))
