"""The machine under the fleet: a reboot, a killed agent, clocks that step, a full disk.

python -m tests.chaos.live.breaks [reboot|agent|clock|disk]
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from random import Random

from tests.chaos.live.directed import Found, alone, loaded, order
from tests.chaos.live.faults import Faults
from tests.chaos.live.part import until
from tests.chaos.live.stage import Stage, stage

WHOLE_S = 15.0


def _faults(made: Stage) -> Faults:
    return Faults(made, Random(1))  # noqa: S311  # repeatable on purpose


async def reboot(rps: float = 20.0) -> Found:
    """Every instance is gone at once: requests wait, the fleet starts again."""
    found = Found()
    async with stage() as made:
        faults = _faults(made)
        async with loaded(made, rps) as loads:
            await order(made, 3)
            await until(lambda: made.watch.settled(3, 2), "3 serve")
            old = set(made.instances())
            await faults._reboot("", 0, "")
            took_s = await until(
                lambda: made.watch.settled(3, 2) and not old & set(made.watch.last.backends or ()), "3 new ones serve"
            )
            found.within("3 others serve after all were killed", took_s, WHOLE_S)
            found.once_and_whole(made)
        found.accounted(made, faults, loads)
    return found


async def agent(rps: float = 20.0) -> Found:
    """HAProxy's agent is killed for longer than a proxy is remembered: nothing that HAProxy may use goes away."""
    found = Found()
    async with stage(("haproxy",)) as made, loaded(made, rps) as loads:
        await order(made, 3)
        await until(lambda: made.watch.settled(3, 1), "3 serve")
        plane, before = made.planes[0], made.instances()
        assert plane.agent is not None
        plane.agent.kill()
        await asyncio.sleep(6.0)
        await order(made, None)
        await asyncio.sleep(made.settings.life.proxy_forget_s + 5)
        found.must(made.instances() == before, f"{sorted(before)} ran, {sorted(made.instances())} do without the agent")
        found.must(
            any("proxy-missing" in one.subject for _, one in made.watch.history), "no event says that it is missing"
        )
        plane.agent.start()
        found.within("agent back, the whole fleet known", await until(lambda: made.watch.rests(1), "it rests"), WHOLE_S)
    found.lossless(loads)
    return found


async def clock(rps: float = 20.0) -> Found:
    """The wall clocks of all parts but the server, and that of the server, step by an hour, both ways."""
    found = Found()
    async with stage(fake_clocks=True) as made, loaded(made, rps) as loads:
        await order(made, 3)
        await until(lambda: made.watch.settled(3, 2), "3 serve")
        before = made.instances()
        for name in ("machine", "server"):
            for step in ("+3600s", "+0s", "-3600s", "+0s"):
                made.clocks[name].write_text(f"{step}\n", encoding="ascii")
                await asyncio.sleep(5.0)
                acting = made.watch.acting
                found.must(acting, f"nobody acts after the {name}'s clock went to {step}")
                found.must(made.instances() == before, f"after {name} {step}: {sorted(made.instances())} run")
                generation = int(made.server.ask("GET", "chaos:{web}:generation").split()[1])
                found.facts.append(f"{name} {step}: {acting} acts, generation {generation}")
        await order(made, 2)
        found.within("2 serve afterwards", await until(lambda: made.watch.settled(2, 2), "2 serve"), WHOLE_S)
        found.once_and_whole(made)
    found.lossless(loads)
    return found


async def disk(rps: float = 20.0) -> Found:
    """The disk of the state folder is full: what serves goes on, nobody dies, and with space again the fleet grows."""
    found = Found()
    async with stage(disk_mb=24) as made, loaded(made, rps) as loads:
        await order(made, 2)
        await until(lambda: made.watch.settled(2, 2), "2 serve")
        ballast = made.state.parent / "ballast"
        with ballast.open("wb") as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(65536))
        await order(made, 4)
        full_at = time.monotonic()
        while time.monotonic() < full_at + 12:
            await asyncio.sleep(0.2)
            dead = [part.name for part in made.parts if not part.alive]
            found.must(not dead, f"{dead} ended on a full disk: {[made.part(one).said()[-400:] for one in dead]}")
            if dead:
                break
        ballast.unlink()
        took_s = await until(lambda: made.watch.settled(4, 2), "4 serve with space again")
        found.within("4 serve with space again", took_s, WHOLE_S)
        made.part(made.watch.acting or "").kill()
        await until(lambda: made.watch.terms > 1 and made.watch.settled(4, 2), "another acts")
        found.once_and_whole(made)
    found.lossless(loads)
    return found


RUNS = {"reboot": reboot, "agent": agent, "clock": clock, "disk": disk}

if __name__ == "__main__":
    sys.exit(alone(RUNS[sys.argv[1] if len(sys.argv) > 1 else "reboot"]()))
