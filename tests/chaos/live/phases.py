"""The acting scaler killed while an instance is in each phase: the fleet converges, nothing twice, nothing orphaned.

python -m tests.chaos.live.phases [times]
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from fleet.backend import Phase
from fleet.store.keys import Keys
from tests.chaos.live.directed import Found, alone, loaded, order
from tests.chaos.live.part import until
from tests.chaos.live.stage import APP, Stage, stage

if TYPE_CHECKING:
    from tests.chaos.live.part import Part

CONVERGES_S = 15.0
TRIES = 5
RESTARTED_S = 0.3
PHASES = {Phase.STARTING: 3, Phase.WARMING: 2, Phase.SERVING: 2, Phase.DRAINING: 1, Phase.STOPPING: 1}
BEFORE = {Phase.STARTING: 2, Phase.WARMING: 1, Phase.DRAINING: 2, Phase.STOPPING: 2}


async def phases(times: int = 10, rps: float = 8.0) -> Found:
    """Each phase so many times; the killed scaler is started again a moment later, and either may act then."""
    found = Found()
    took: dict[Phase, list[float]] = {phase: [] for phase in PHASES}
    async with stage(boot_s=0.5) as made, loaded(made, rps) as loads:
        for _ in range(times):
            for phase, count in PHASES.items():
                took[phase].append(await _once(made, phase, count))
        for phase, all_s in took.items():
            found.within(f"killed while {phase}, {len(all_s)} times, slowest", max(all_s), CONVERGES_S)
        found.once_and_whole(made)
    found.lossless(loads)
    return found


async def _once(made: Stage, phase: Phase, count: int) -> float:
    """Seconds from the kill until somebody acts and exactly so many serve."""
    for _ in range(TRIES):
        if phase is not Phase.SERVING:
            await _serve(made, BEFORE[phase])
        killed = await _killed_while(made, phase, count)
        if killed is not None:
            target = len(made.watch.last.backends or ()) if phase is Phase.SERVING else count
            return await _converged(made, killed, target)
    raise AssertionError(f"never caught {phase}")


async def _serve(made: Stage, count: int) -> None:
    await order(made, count)
    await until(lambda: made.watch.settled(count, 2), f"{count} serve")


async def _converged(made: Stage, killed: Part, target: int) -> float:
    at, terms = time.monotonic(), made.watch.terms
    await asyncio.sleep(RESTARTED_S)
    made.start_scaler(killed)
    await until(lambda: made.watch.terms > terms and made.watch.settled(target, 2), f"{target} serve in a new term")
    return time.monotonic() - at


async def _killed_while(made: Stage, phase: Phase, count: int) -> Part | None:
    """Kill whoever acts as soon as an instance is seen in that phase; None where the phase was over by then."""
    keys = Keys("chaos", APP)
    async with Redis.from_url(made.server.url) as client, client.pubsub() as listening:
        await listening.subscribe(keys.changes)
        acting = made.part(made.watch.acting or "")
        if phase is not Phase.SERVING:
            await order(made, count)
        async with asyncio.timeout(30):
            while not await _shows(client, keys, phase):
                await listening.get_message(ignore_subscribe_messages=True, timeout=0.5)
        acting.kill()
        caught = await _shows(client, keys, phase)
    if not caught:
        made.start_scaler(acting)
    return acting if caught else None


async def _shows(client: Redis, keys: Keys, phase: Phase) -> bool:
    entries = await client.execute_command("HVALS", keys.backends)
    return any(json.loads(entry)["phase"] == phase for entry in entries)


if __name__ == "__main__":
    sys.exit(alone(phases(int(sys.argv[1]) if len(sys.argv) > 1 else 10)))
