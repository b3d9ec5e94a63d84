"""Redis away, and Redis wiped, at 200 requests a second: nothing fails, nothing is started or stopped.

python -m tests.chaos.live.outages [away|wiped] [seconds]
"""

from __future__ import annotations

import asyncio
import sys
import time

from tests.chaos.live.directed import Found, alone, loaded, order
from tests.chaos.live.load import MIX
from tests.chaos.live.part import until
from tests.chaos.live.records import read_records
from tests.chaos.live.stage import Stage, stage

RPS, SERVING = 200.0, 4
RECOVERS_S, COMPLETE_S = 5.0, 10.0
BEFORE_S = 6.0


async def away(seconds: float = 60.0, rps: float = RPS) -> Found:
    """The server is killed and comes back with its data."""
    found = Found()
    async with stage(tables=_tables(rps)) as made, loaded(made, rps, MIX[:6]) as loads:
        await _ready(made)
        before = made.instances()
        made.server.part.kill()
        gone_at = time.monotonic()
        while time.monotonic() < gone_at + seconds:
            await asyncio.sleep(0.5)
            found.must(made.instances() == before, f"the scale was not held: {sorted(made.instances())}")
        await made.server.start()
        found.within("recovery", await until(lambda: _recovered(made), "the fleet is whole again"), RECOVERS_S)
        await asyncio.sleep(BEFORE_S)
        found.must(made.instances() == before, f"{sorted(before)} before, {sorted(made.instances())} after")
        found.once_and_whole(made)
    found.lossless(loads)
    return found


async def wiped(rps: float = RPS) -> Found:
    """The server forgets everything, and goes on."""
    found = Found()
    async with stage(tables=_tables(rps)) as made, loaded(made, rps, MIX[:6]) as loads:
        await _ready(made)
        before = made.instances()
        made.server.wipe()
        await until(lambda: not made.watch.last.backends, "the watch sees it")
        found.within("registry complete", await until(lambda: _recovered(made), "the registry is whole"), COMPLETE_S)
        await asyncio.sleep(BEFORE_S)
        found.must(made.instances() == before, f"{sorted(before)} before, {sorted(made.instances())} after")
        told = {name: record.terms for name, record in read_records(made.record).items() if record.terms}
        found.must(not told, f"told to end: {told}")
        found.once_and_whole(made)
    found.lossless(loads)
    return found


def _tables(rps: float) -> dict[str, dict[str, float]]:
    """The load is that of just so many instances, whose number thus stays."""
    return {"policy": {"target_rps": rps / SERVING, "stable_window_s": 15.0, "stabilisation_s": 20.0}}


async def _ready(made: Stage) -> None:
    await order(made, SERVING)
    await until(lambda: made.watch.settled(SERVING, len(made.planes)), f"{SERVING} serve")
    await order(made, None)
    await asyncio.sleep(BEFORE_S)


def _recovered(made: Stage) -> bool:
    return made.watch.acting is not None and made.watch.settled(SERVING, len(made.planes))


if __name__ == "__main__":
    chosen = sys.argv[1] if len(sys.argv) > 1 else "away"
    sys.exit(alone(wiped() if chosen == "wiped" else away(float(sys.argv[2]) if len(sys.argv) > 2 else 60.0)))
