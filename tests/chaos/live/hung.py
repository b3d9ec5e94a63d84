"""Hung things: an app that never answers, a proxy that never acknowledges, a database outage behind the app.

python -m tests.chaos.live.hung [mute|noack|outage]
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from stoker.demo.client import Kind
from tests.chaos.live.directed import Found, alone, loaded, order
from tests.chaos.live.part import until
from tests.chaos.live.records import read_records
from tests.chaos.live.stage import stage

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

LIFE = {"life": {"probe_serving_s": 1.0, "probe_timeout_s": 1.0}}
# Three probes of a second each, a second apart, then a boot.
REPLACED_S = 15.0
OUTAGE_S = 20.0


async def mute(rps: float = 20.0) -> Found:
    """One of three accepts and never answers: out and replaced; what was sent to it ends at its drain's deadline."""
    found = Found()
    async with stage(tables=LIFE) as made:
        async with loaded(made, rps, (Kind.NEW,)) as loads:
            await order(made, 3)
            await until(lambda: made.watch.settled(3, 2), "3 serve")
            name = min(made.watch.last.backends or {})
            (made.record / f"mute.{name}").touch()

            def replaced() -> bool:
                return name not in (made.watch.last.backends or {}) and made.watch.settled(3, 2)

            took_s = await until(replaced, f"{name} is replaced", 60.0)
            found.within("a mute app replaced", took_s, REPLACED_S + made.settings.life.drain_timeout_s)
            found.once_and_whole(made)
        cut = [one for load in loads for one in load.failed]
        begun = read_records(made.record)[name].begun
        found.broken += [str(one) for one in cut if one.number not in begun]
        found.facts.append(f"{len(cut)} requests that had been sent to it were cut")
        told = [f"{one.before} -> {one.after} {one.reasons}" for _, one in made.watch.history if one.subject == name]
        found.facts += told
        found.must(any("failed" in one or "draining" in one for one in told), "no event")
    return found


async def noack(seconds: float = 14.0, rps: float = 20.0) -> Found:
    """mitmdump stands still while the fleet shrinks: the drain waits for it, HAProxy's clients notice nothing."""
    found = Found()
    async with stage() as made, loaded(made, rps) as loads:
        await order(made, 3)
        await until(lambda: made.watch.settled(3, 2), "3 serve")
        front = made.plane("proxy1").front
        front.pause()
        await order(made, 1)
        await until(lambda: any(one.after == "draining" for _, one in made.watch.history), "a drain began", 30.0)
        await asyncio.sleep(seconds)
        front.resume()
        await until(lambda: made.watch.settled(1, 2), "1 serves", 60.0)
        found.facts += [
            f"{one.kind} {one.subject} {one.after}: {one.reasons}"
            for _, one in made.watch.history
            if "prox" in str(one)
        ]
        found.once_and_whole(made)
    found.lossless(loads)
    return found


async def outage(seconds: float = OUTAGE_S, rps: float = 20.0) -> Found:
    """Every probe fails at once: nothing is replaced, an event says so, and requests go on."""
    found = Found()
    async with stage(tables=LIFE) as made, loaded(made, rps) as loads:
        await order(made, 3)
        await until(lambda: made.watch.settled(3, 2), "3 serve")
        before = made.instances()
        (made.record / "outage").touch()
        await asyncio.sleep(seconds)
        found.must(made.instances() == before, f"{sorted(before)} ran, {sorted(made.instances())} do now")
        (made.record / "outage").unlink()
        await asyncio.sleep(5.0)
        found.must(made.instances() == before, f"{sorted(before)} ran, {sorted(made.instances())} do afterwards")
        told = [
            f"{one.kind} {one.subject} {one.after}: {one.reasons}"
            for _, one in made.watch.history
            if one.kind == "fault"
        ]
        found.facts += told
        found.must(told, "no event says that most fail")
    found.lossless(loads)
    return found


RUNS: dict[str, Callable[[], Coroutine[None, None, Found]]] = {"mute": mute, "noack": noack, "outage": outage}

if __name__ == "__main__":
    sys.exit(alone(RUNS[sys.argv[1] if len(sys.argv) > 1 else "mute"]()))
