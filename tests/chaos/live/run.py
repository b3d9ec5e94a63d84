"""One live run: a stage, a load on every plane, the faults of a plan, and what the checker finds afterwards."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from tests.chaos.live.check import Checker
from tests.chaos.live.faults import Faults
from tests.chaos.live.load import Load
from tests.chaos.live.part import until
from tests.chaos.live.stage import Stage, stage

if TYPE_CHECKING:
    from tests.chaos.live.plan import Fault, Plan

RESTS_S = 45.0
SUPERVISED_S = 0.5
DISK_MB = 48


@dataclass(slots=True)
class Outcome:
    """What came out: broken promises with their moments, and every failed request by why it may fail."""

    broken: list[str]
    sent: int
    allowed: Counter[str]
    faults: int
    terms: int
    moves: int
    story: list[str] = field(default_factory=list)


async def run(plan: Plan) -> Outcome:
    """Run a plan and check what it left behind."""
    async with stage(tables=plan.tables, boot_s=plan.boot_s, fake_clocks=True, disk_mb=DISK_MB) as made:
        began = time.monotonic()
        faults = Faults(made, Random(plan.seed))  # noqa: S311  # repeatable on purpose
        loads = [Load(plane.id, plane.port) for plane in made.planes]
        exits: list[tuple[float, str]] = []
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(_supervise(made, exits, over))
            async with asyncio.TaskGroup() as doing:
                for load in loads:
                    doing.create_task(load.run(lambda moment: plan.rps(moment) / len(loads), plan.seconds))
                for fault in plan.faults:
                    doing.create_task(_later(faults, fault))
            rest_s = await _rest(made)
            over.set()
            await keeping
        checker = Checker(made, loads, faults, exits, began, rest_s)
        broken = await asyncio.to_thread(checker.broken)
        return Outcome(
            [f"seed {plan.seed}: {line}" for line in broken],
            sum(len(load.sent) for load in loads),
            checker.allowed,
            len(faults.done),
            sum(one.kind == "term" for _, one in made.watch.history),
            sum(one.kind == "instance" for _, one in made.watch.history),
            checker.story(),
        )


async def _later(faults: Faults, fault: Fault) -> None:
    await asyncio.sleep(fault.at)
    await faults.do(fault)


async def _rest(made: Stage) -> float | None:
    """How long until the fleet rests, with nothing in flight anywhere; None where it never does."""

    def rests() -> bool:
        status = made.watch.last.status
        readings = status.sighting.readings if status else ()
        quiet = not any(one.in_flight or one.held for one in readings)
        return made.watch.rests(len(made.planes)) and quiet

    try:
        return await until(rests, "the fleet rests", RESTS_S)
    except AssertionError:
        return None


async def _supervise(made: Stage, exits: list[tuple[float, str]], over: asyncio.Event) -> None:
    """Start again what ended by itself, as a supervisor does, and remember that it did."""
    while not over.is_set():
        for part in made.parts:
            if part.expected and not part.alive:
                exits.append((time.monotonic(), part.name))
                await asyncio.sleep(SUPERVISED_S)
                made.start_scaler(part) if part in made.scalers else part.start()
        await asyncio.sleep(SUPERVISED_S)
