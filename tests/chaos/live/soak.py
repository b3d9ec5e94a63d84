"""A fleet that moves all the time, for an hour: nothing fails, nothing grows, nothing is left.

python -m tests.chaos.live.soak [--minutes 60] [--rps 24] [--period 75] [--docker]

The fleet has a past: its history is at its cap when the hour begins. How far a part's memory grew is told by medians:
the last twelfth (five minutes of sixty) against the first twelfth of the second half (minutes 30 to 35). Memory is what
is a process's own, without files that it maps. Open files, sockets among them, and processes are compared at rest,
before the load and after it. With --docker the instances are containers, else processes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import signal
import statistics
import sys
import time
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.registry import Happening
from fleet.store.fields import EVENTS_KEPT
from fleet.store.opening import open_registry
from stoker.demo.client import Kind
from tests.chaos.live.load import MIX, Load
from tests.chaos.live.part import until
from tests.chaos.live.stage import APP, Stage, stage
from tests.engine import Engine, using_engine

if TYPE_CHECKING:
    from fleet.settings import Settings
    from tests.chaos.live.part import Part

SAMPLE_S = 5.0
PERIOD_S = 75.0
GROWTH = 0.02
REST_S = 30.0
# Some are opened at their first use and stay: that on which a proxy wakes the scaler, and 25 connections which the
# engine's library keeps. What is not closed at each move would be hundreds.
FIRST_USED = 30
AT_ONCE = 500
# What stays in the store, so that the next start knows what was.
LASTING = {
    "backends",
    "definition",
    "events",
    "generation",
    "instances",
    "orders",
    "scaler",
    "scalers",
    "serial",
    "token",
}


@dataclass(frozen=True, slots=True)
class Held:
    """What one part has open, sockets among it, and how many processes it is."""

    files: int
    processes: int

    def __str__(self) -> str:
        return f"{self.files} files and {self.processes} processes"


@dataclass(slots=True)
class Sizes:
    """One part: samples of its memory in kB, its own share of what is shared, and what it holds at rest."""

    before: Held
    after: Held
    memory: list[int] = field(default_factory=list)

    def take(self, part: Part) -> None:
        memory = 0
        for entry in session(part.pid):
            with contextlib.suppress(OSError):
                lines = (entry / "smaps_rollup").read_text(encoding="ascii").splitlines()
                memory += sum(int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:"))
        if memory:
            self.memory.append(memory)

    @property
    def twelfths(self) -> tuple[float, float, float]:
        """The medians of the first twelfth, of the first one of the second half and of the last one."""
        width = max(1, len(self.memory) // 12)
        half = len(self.memory) // 2
        parts = (self.memory[:width], self.memory[half : half + width], self.memory[-width:])
        first, middle, last = (statistics.median(part) for part in parts)
        return first, middle, last

    @property
    def growth(self) -> float:
        """In the second half."""
        _, middle, last = self.twelfths
        return last / middle - 1

    @property
    def rests(self) -> bool:
        """Whether nothing is open that was not before, but for what is opened once."""
        return self.after.files <= self.before.files + FIRST_USED and self.after.processes <= self.before.processes


def held(part: Part) -> Held:
    """What that part holds now."""
    files, entries = 0, session(part.pid)
    for entry in entries:
        with contextlib.suppress(OSError):
            files += len(list((entry / "fd").iterdir()))
    return Held(files, len(entries))


def session(leader: int) -> list[Path]:
    """The processes of that session."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (
                int((entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[3])
                == leader
            ):
                found.append(entry)
    return found


@dataclass(slots=True)
class Soaked:
    """What came out."""

    sent: int
    failed: list[str]
    moves: int
    sizes: dict[str, Sizes]
    left: list[str]

    @property
    def broken(self) -> list[str]:
        """What must not be."""
        grown = [
            f"{name}: memory grew by {one.growth:.1%} in the second half"
            for name, one in self.sizes.items()
            if one.growth > GROWTH
        ]
        held_on = [
            f"{name}: {one.after} at rest, {one.before} before the load"
            for name, one in self.sizes.items()
            if not one.rests
        ]
        return [*self.failed, *grown, *held_on, *self.left] + ([] if self.moves else ["the fleet never moved"])

    def table(self) -> list[str]:
        rows = []
        for name, one in self.sizes.items():
            first, middle, last = (size / 1024 for size in one.twelfths)
            rows.append(
                f"  {name:<14} {first:6.2f} MB at first, {middle:6.2f} half-way, {last:6.2f} at the end; "
                f"second half {one.growth:+.1%}; {one.before} before, {one.after} after"
            )
        return rows


def remember(settings: Settings) -> None:
    """Fill the history to its cap, as it is where a fleet has run for some days."""
    reason = "40.3 requests a second against 8 that one instance carries: 6"
    turns = [Happening(0.0, "state", APP, *pair, (reason,)) for pair in (("IDLE", "BUSY"), ("BUSY", "UP"))]
    with closing(open_registry(settings)) as registry:
        lease = registry.acquire("before")
        assert lease is not None
        for _ in range(0, EVENTS_KEPT + AT_ONCE, AT_ONCE):
            registry.record(lease, turns * (AT_ONCE // len(turns)))
        registry.release(lease)


async def soak(seconds: float, rps: float, period_s: float = PERIOD_S, engine: Engine | None = None) -> Soaked:
    """Both planes under a load that climbs and falls; `rps` is its peak on each.

    On an engine the instances are containers, whose app has no more than pages.
    """

    def shape(moment: float) -> float:
        return rps * (0.55 - 0.45 * math.cos(2 * math.pi * moment / period_s))

    tables = _containers(engine) if engine else {}
    kinds = (Kind.KEPT, Kind.NEW) if engine else MIX
    async with stage(tables=tables, past=remember) as made:
        loads = [Load(plane.id, plane.port, kinds=kinds) for plane in made.planes]
        sizes = {part.name: Sizes(held(part), held(part)) for part in made.parts}
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            sampling = tasks.create_task(_sample(made, sizes, ended))
            async with asyncio.TaskGroup() as sending:
                for load in loads:
                    sending.create_task(load.run(shape, seconds))
            ended.set()
            await sampling
        await until(lambda: made.watch.settled(1, len(made.planes)), "the fleet rests", 90.0)
        await _rest(made, sizes)
        moves = sum(one.kind == "instance" and one.after in {"serving", "draining"} for _, one in made.watch.history)
        failed = [str(one) for load in loads for one in load.failed]
        left = await leave(made) + (_left_containers(engine) if engine else [])
        return Soaked(sum(len(load.sent) for load in loads), failed, moves, sizes, left)


def _containers(engine: Engine) -> dict[str, dict[str, object]]:
    instance: dict[str, object] = {"image": engine.image, "pull": "never", "command": ["/bin/serve"]}
    return {"actuator": {"kind": "docker", "docker_host": engine.address}, "instance": instance}


def _left_containers(engine: Engine) -> list[str]:
    labels: dict[str, str | list[str] | bool] = {"label": ["stoker.fleet=chaos", f"stoker.app={APP}"]}
    return [f"container {one.name}" for one in engine.client.containers.list(all=True, filters=labels)]


async def _rest(made: Stage, sizes: dict[str, Sizes]) -> None:
    """Look what each part holds until it is no more than before, or for `REST_S`."""
    deadline = time.monotonic() + REST_S
    while True:
        for part in made.parts:
            sizes[part.name].after = held(part)
        if all(one.rests for one in sizes.values()) or time.monotonic() > deadline:
            return
        await asyncio.sleep(1.0)


async def _sample(made: Stage, sizes: dict[str, Sizes], ended: asyncio.Event) -> None:
    began = told = time.monotonic()
    while not ended.is_set():
        for part in made.parts:
            await asyncio.to_thread(sizes[part.name].take, part)
        if time.monotonic() > told + 300:
            told = time.monotonic()
            print(f"{told - began:.0f} s", *(f"{name} {one.memory[-1]}" for name, one in sizes.items()), flush=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), SAMPLE_S)


async def leave(made: Stage) -> list[str]:
    """End everything in order; what is left then that should not be."""
    for plane in made.planes:
        await plane.front.end(signal.SIGTERM if plane.kind == "mitmproxy" else signal.SIGUSR1)
        if plane.agent is not None:
            await plane.agent.end()
    waiting = [one for one in made.scalers if one.name != made.watch.acting]
    for scaler in (*waiting, *(one for one in made.scalers if one not in waiting)):
        await scaler.end(signal.SIGINT, 60.0)
    own = str(made.server.part.pid)
    left = [f"process {line}" for line in made.left() if line.split()[0] != own]
    reply = made.server.ask("KEYS", "*").decode().split("\r\n")
    keys = [line for line in reply if line.startswith("chaos:")]
    left += [f"key {key}" for key in keys if key.rpartition(":")[2] not in LASTING]
    left += [
        f"proxy {line}" for line in made.server.ask("ZRANGE", "chaos:{web}:proxies", "0", "-1").decode().split()[1:]
    ]
    left += [
        f"file {path.name}"
        for path in made.state.iterdir()
        if path.name.startswith("web") and path.suffix in {".json", ".log"}
    ]
    left += [f"file {path}" for path in made.state.glob("**/*.new")]
    return left


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.live.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rps", type=float, default=24.0, help="peak on each plane")
    parser.add_argument("--period", type=float, default=PERIOD_S, help="from one peak to the next, in seconds")
    parser.add_argument("--docker", action="store_true", help="instances are containers")
    given = parser.parse_args()
    with using_engine() if given.docker else nullcontext() as engine:
        found = asyncio.run(soak(given.minutes * 60, given.rps, given.period, engine))
    print(f"{given.minutes:g} minutes: {found.sent} requests, {len(found.failed)} failed")
    print(f"{found.moves} times an instance came or went")
    print(*found.table(), sep="\n")
    print(*(f"BROKEN: {line}" for line in found.broken), sep="\n")
    return 1 if found.broken else 0


if __name__ == "__main__":
    sys.exit(main())
