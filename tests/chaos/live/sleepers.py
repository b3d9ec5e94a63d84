"""The acting scaler paused for longer than its lease and woken: it changes nothing, and says that it waits.

python -m tests.chaos.live.sleepers [wiped]
"""

from __future__ import annotations

import asyncio
import sys

from tests.chaos.live.directed import Found, alone, loaded, order, standings
from tests.chaos.live.part import until
from tests.chaos.live.records import read_records
from tests.chaos.live.stage import Stage, stage

TAKE_OVER_S = 10.0
ASLEEP_S, AWAKE_S = 9.0, 8.0


async def sleepers(*, wiped: bool = False, rps: float = 20.0) -> Found:
    """It falls asleep with an instance starting and another draining; the other scaler goes on with both."""
    found = Found()
    async with stage(boot_s=1.5) as made, loaded(made, rps) as loads:
        await order(made, 3)
        await until(lambda: made.watch.settled(3, 2), "3 serve")
        await order(made, 4)
        await until(
            lambda: any(one.phase == "warming" for one in (made.watch.last.backends or {}).values()), "one warms"
        )
        asleep = made.part(made.watch.acting or "")
        asleep.pause()
        if wiped:
            await asyncio.sleep(1.0)
            made.server.wipe()
        took_s = await until(lambda: made.watch.acting not in {None, asleep.name}, "another takes over")
        found.within("take-over", took_s, TAKE_OVER_S)
        await asyncio.sleep(max(0.0, ASLEEP_S - took_s))
        await order(made, 3)
        await until(lambda: made.watch.settled(3, 2), "3 serve by the other's hand")
        await _wake(made, found, asleep.name)
        found.once_and_whole(made)
    found.lossless(loads)
    return found


async def _wake(made: Stage, found: Found, asleep: str) -> None:
    """Nothing that it does once it is awake may show anywhere."""
    before, acting, history = made.watch.last.backends, made.watch.acting, len(made.watch.history)
    told = {name: list(one.terms) for name, one in read_records(made.record).items()}
    made.part(asleep).resume()
    await asyncio.sleep(AWAKE_S)
    found.must(made.watch.acting == acting, f"{acting} acted, now {made.watch.acting}")
    found.must(made.watch.last.backends == before, f"the registry was {before}, is {made.watch.last.backends}")
    written = [one for _, one in made.watch.history[history:] if one.kind in {"term", "instance"}]
    found.must(not written, f"the history went on: {written}")
    ended = {name: one.terms for name, one in read_records(made.record).items() if one.terms != told.get(name)}
    found.must(not ended, f"told to end by the woken one: {ended}")
    shown = await standings(made)
    found.facts.append(f"stoker status says who acts: {shown}")
    found.must(shown == {acting: True, asleep: False}, f"status says {shown}, {acting} acts and {asleep} waits")


if __name__ == "__main__":
    sys.exit(alone(sleepers(wiped=sys.argv[1:] == ["wiped"])))
