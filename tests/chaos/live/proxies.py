"""Proxies and scalers that come and go: one that starts during a drain, proxies that are killed, three scalers.

python -m tests.chaos.live.proxies [late|killed|scalers]
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from random import Random
from typing import TYPE_CHECKING

from fleet.backend import Phase
from stoker.demo.client import Kind
from stoker.demo.load import moments
from tests.chaos.live.directed import Found, alone, loaded, order, standings
from tests.chaos.live.faults import Faults
from tests.chaos.live.load import Load
from tests.chaos.live.part import PATIENCE_S, until
from tests.chaos.live.stage import Plane, Stage, stage

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fleet.registry import Happening

PLANES = ("mitmproxy", "haproxy", "mitmproxy", "haproxy")
SLOW_S, DRAIN_S = 25.0, 40.0
ASKED, PAUSE_S = 40, 0.05
BETWEEN_S, LOOK_S = 2.5, 0.1
# Longer than it takes to count as silent.
AWAY_S = 6.0
# As in the simulated hours: of the true rate, and on top of that.
JUMP, SPARE_RPS = 1.3, 3.0
TAKE_OVER_S = 10.0


async def late() -> Found:
    """Two of four proxies end, and start again while two of three instances drain: they never send to those."""
    found = Found()
    async with stage(PLANES, tables={"life": {"drain_timeout_s": DRAIN_S}}) as made:
        await order(made, 3)
        await until(lambda: made.watch.settled(3, 4), "3 serve")
        for plane in made.planes[2:]:
            await _left(made, plane)
        slow = [Load(plane.id, plane.port, SLOW_S) for plane in made.planes[:2]]
        async with asyncio.TaskGroup() as tasks:
            # What is in flight on each of the three keeps the drain going.
            for load in slow:
                for _ in range(9):
                    tasks.create_task(load.one(Kind.SLOW))
            await asyncio.sleep(1.0)
            await order(made, 1)
            await until(lambda: len(_leaving(made)) == 2, "two drain")
            leaving = set(_leaving(made))
            answers = await asyncio.gather(*(_started(made, plane) for plane in made.planes[2:]))
            found.must(
                set(_leaving(made)) == leaving, f"{sorted(leaving)} no longer drained when the proxies had begun"
            )
        for load in answers:
            by = {one.served_by for one in load.sent if not one.fault}
            found.facts.append(f"{load.proxy}, started during the drain of {sorted(leaving)}, sent to {sorted(by)}")
            found.must(not by & leaving, f"{load.proxy} sent to {sorted(by & leaving)}, which drain")
        await until(lambda: made.watch.settled(1, 4), "1 serves, and all four proxies know", 60.0)
        found.once_and_whole(made)
    found.lossless([*slow, *answers])
    return found


async def _left(made: Stage, plane: Plane) -> None:
    """End a proxy in order, HAProxy before its agent; the fleet does not wait for it."""
    await plane.front.end()
    if plane.agent is not None:
        await plane.agent.end()
    await until(lambda: plane.id not in _known(made), f"{plane.id} has left")


def _known(made: Stage) -> set[str]:
    """Every proxy that reports or is missed."""
    status = made.watch.last.status
    return {one.id for one in status.sighting.readings} | set(status.sighting.silent) if status else set()


def _leaving(made: Stage) -> list[str]:
    return [name for name, one in (made.watch.last.backends or {}).items() if one.phase is Phase.DRAINING]


async def _started(made: Stage, plane: Plane) -> Load:
    """Start it, and ask from the moment at which it listens."""
    load = Load(plane.id, plane.port)
    await made.start_plane(plane)
    if plane.agent is not None:
        plane.agent.start()
    for _ in range(ASKED):
        await load.one(Kind.NEW)
        await asyncio.sleep(PAUSE_S)
    return load


async def killed(kills: int = 8, rps: float = 40.0) -> Found:
    """Proxies of both kinds are killed and started again, their clients move over: no more is seen than there is."""
    found = Found()
    async with stage(scalers=1) as made:
        target, window_s = made.settings.policy.target_rps or rps, made.settings.policy.stable_window_s
        loads = [Load(plane.id, plane.port) for plane in made.planes]
        down, seen, over = set[str](), list[float](), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_balanced(loads, down, rps, over))
            tasks.create_task(_look(made, seen, over))
            await asyncio.sleep(window_s)
            for number in range(kills):
                away_s = AWAY_S if number % 4 > 1 else 0.0
                await _killed(made, made.planes[number % 2], down, away_s, agent_alone=number % 4 == 1)
                await asyncio.sleep(BETWEEN_S)
            await asyncio.sleep(window_s)
            over.set()
        most = JUMP * rps + SPARE_RPS
        found.facts.append(f"{kills} kills at {rps:g} rps: {max(seen):.1f} rps seen at most")
        found.must(max(seen) <= most, f"{max(seen):.1f} rps seen of {rps:g}, at most {most:g} are allowed")
        wanted = [int(one.after) for _, one in made.watch.history if one.kind == "decision"]
        found.facts.append(f"wanted {wanted} of {target:g} rps each")
        found.must(max(wanted) <= math.ceil(most / target), f"wanted {wanted} for {rps:g} rps of {target:g} each")
        await until(lambda: made.watch.rests(2), "the fleet rests")
        found.once_and_whole(made)
        found.accounted(made, Faults(made, Random(1)), loads)  # noqa: S311  # draws nothing: no fault is its own
    return found


async def _balanced(loads: list[Load], down: set[str], rps: float, over: asyncio.Event) -> None:
    """A steady load that goes round the proxies which are up, as whatever stands before them would send it."""
    start = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number, due in enumerate(moments(lambda _: rps, 1e6)):
            await asyncio.sleep(max(0.0, start + due - time.monotonic()))
            if over.is_set():
                return
            up = [load for load in loads if load.proxy not in down]
            tasks.create_task(up[number % len(up)].one(Kind.NEW))


async def _killed(made: Stage, plane: Plane, down: set[str], away_s: float, *, agent_alone: bool) -> None:
    if plane.agent is not None:
        plane.agent.kill()
    if not agent_alone:
        down.add(plane.id)
        plane.front.kill()
        await asyncio.sleep(away_s)
        await made.start_plane(plane)
        down.remove(plane.id)
    if plane.agent is not None:
        plane.agent.start()


async def _look(made: Stage, seen: list[float], over: asyncio.Event) -> None:
    while not over.is_set():
        status = made.watch.last.status
        if status is not None and status.summary is not None and status.summary.rps is not None:
            seen.append(status.summary.rps)
        await asyncio.sleep(LOOK_S)


async def scalers(rounds: int = 3, rps: float = 20.0) -> Found:
    """Of three scalers one acts; each time it is killed in the midst of a change, one of the others goes on with it."""
    found = Found()
    async with stage(scalers=3) as made, loaded(made, rps) as loads:
        for number in range(rounds):
            async with asyncio.timeout(PATIENCE_S):
                while len(standing := await standings(made)) < len(made.scalers):
                    pass
            await until(lambda: bool(made.watch.acting), "one acts")
            acting = made.watch.acting or ""
            found.must(standing == {part.name: part.name == acting for part in made.scalers}, f"status: {standing}")
            await _take_over(made, found, acting, 3 - number % 2)
        await asyncio.sleep(made.settings.policy.stable_window_s)
        terms = [int(one.after) for _, one in made.watch.history if one.kind == "term"]
        found.must(len(terms) == rounds + 1, f"{len(terms)} terms, {rounds} times the acting scaler was killed")
        found.must(terms == sorted(set(terms)), f"tokens went back: {terms}")
        await until(lambda: made.watch.rests(2), "the fleet rests")
        found.once_and_whole(made)
    found.lossless(loads)
    return found


async def _take_over(made: Stage, found: Found, acting: str, count: int) -> None:
    """Kill it as soon as it has read the order of so many instances."""
    before, first = len(_ordered(made)), made.part(acting)
    await order(made, count)
    await until(lambda: len(_ordered(made)) > before, f"{acting} reads its order")
    first.kill()
    took_s = await until(lambda: made.watch.acting not in {None, acting}, "another acts")
    found.within(f"{acting} killed, {made.watch.acting} acts", took_s, TAKE_OVER_S)
    made.start_scaler(first)
    await until(lambda: made.watch.settled(count, 2), f"{count} serve by the other's hand")


def _ordered(made: Stage) -> list[Happening]:
    return [one for _, one in made.watch.history if one.kind == "order"]


RUNS: dict[str, Callable[[], Coroutine[None, None, Found]]] = {"late": late, "killed": killed, "scalers": scalers}

if __name__ == "__main__":
    sys.exit(alone(RUNS[sys.argv[1] if len(sys.argv) > 1 else "late"]()))
