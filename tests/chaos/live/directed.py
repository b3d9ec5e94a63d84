"""What the directed runs share: a load beside what is done, what was found, and how it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.registry import Order, OrderKind
from fleet.store.opening import open_desk
from tests.chaos.live.accounts import Accounts
from tests.chaos.live.load import MIX, Load
from tests.chaos.live.records import read_records

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from stoker.demo.client import Kind
    from tests.chaos.live.faults import Faults
    from tests.chaos.live.stage import Stage


@dataclass(slots=True)
class Found:
    """`facts` are what was measured, `broken` is what must not be."""

    facts: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def must(self, held: object, otherwise: str) -> None:
        if not held:
            self.broken.append(otherwise)

    def within(self, what: str, took_s: float, most_s: float) -> None:
        """A time that was measured, and the most that it may be."""
        self.facts.append(f"{what}: {took_s:.1f} s; at most {most_s:g} s")
        self.must(took_s <= most_s, f"{what} took {took_s:.1f} s, at most {most_s:g} s are allowed")

    def lossless(self, loads: list[Load]) -> None:
        """No request may have failed."""
        failed = [str(one) for load in loads for one in load.failed]
        self.facts.append(f"{sum(len(load.sent) for load in loads)} requests, {len(failed)} failed")
        self.broken += failed[:20]

    def accounted(self, made: Stage, faults: Faults, loads: list[Load]) -> None:
        """Only requests may have failed that were in flight on what was killed, or met a proxy that was down."""
        accounts = Accounts(made, faults, read_records(made.record))
        failed = [one for load in loads for one in load.failed]
        why = Counter(accounts.why(one) or "without a reason" for one in failed)
        self.facts.append(f"{sum(len(load.sent) for load in loads)} requests, {len(failed)} failed")
        self.facts += [f"  {count} {reason}" for reason, count in why.items()]
        self.broken += [f"{one}; {accounts.told(one)}" for one in failed if accounts.why(one) is None]

    def once_and_whole(self, made: Stage) -> None:
        """Nothing was started twice, no request executed twice, and what runs is what is listed."""
        records = read_records(made.record)
        twice = [name for name, record in records.items() if len(record.boots) > 1]
        self.must(not twice, f"started twice: {twice}")
        begun = Counter(number for record in records.values() for number in record.begun)
        again = [number for number, times in begun.items() if times > 1]
        self.must(not again, f"executed twice: requests {again}")
        running, listed = set(made.instances()), set(made.watch.last.backends or ())
        self.must(running == listed, f"running {sorted(running)}, listed {sorted(listed)}")


def alone(run: Coroutine[None, None, Found]) -> int:
    """Run it, print what it found; the exit code."""
    found = asyncio.run(run)
    print(*found.facts, *(f"BROKEN: {line}" for line in found.broken), sep="\n")
    return 1 if found.broken else 0


@asynccontextmanager
async def loaded(made: Stage, rps: float, kinds: tuple[Kind, ...] = MIX) -> AsyncIterator[list[Load]]:
    """A steady load, shared by the planes, until the end of the block; every request is over then."""
    loads = [Load(plane.id, plane.port, kinds=kinds) for plane in made.planes]
    async with asyncio.TaskGroup() as tasks:
        for load in loads:
            tasks.create_task(load.run(lambda _: rps / len(loads), 1e6))
        try:
            yield loads
        finally:
            for load in loads:
                load.over.set()


async def order(made: Stage, count: int | None) -> None:
    """Have so many instances, or None: as many as the load needs."""
    desk = open_desk(made.settings)
    with contextlib.closing(desk):
        wanted = Order(OrderKind.AUTO) if count is None else Order(OrderKind.SCALE, count)
        await asyncio.to_thread(desk.place, wanted)


async def standings(made: Stage) -> dict[str, bool]:
    """Which scalers `stoker status` knows, and whether each acts. In a thread: all ways to Redis lead through here."""
    told = await asyncio.to_thread(made.command, "status", "--json")
    return {one["id"]: one["acting"] for one in json.loads(told)["scalers"]}
