"""A fleet that moves all the time, for an hour: nothing fails, nothing grows, nothing is left.

python -m tests.chaos.live.soak [--minutes 60] [--rps 24]
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos.live.load import Load
from tests.chaos.live.part import until
from tests.chaos.live.stage import Stage, stage

if TYPE_CHECKING:
    from tests.chaos.live.part import Part

SAMPLE_S = 5.0
PERIOD_S = 75.0
GROWTH = 0.02
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


@dataclass(slots=True)
class Sizes:
    """Samples of one part: when, its memory in kB (its own share of what is shared), its open files."""

    moments: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def take(self, part: Part) -> None:
        memory = files = 0
        for entry in session(part.pid):
            with contextlib.suppress(OSError):
                lines = (entry / "smaps_rollup").read_text(encoding="ascii").splitlines()
                memory += sum(int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:"))
                files += len(list((entry / "fd").iterdir()))
        if memory:
            self.moments.append(time.monotonic())
            self.memory.append(memory)
            self.files.append(files)

    @property
    def growth(self) -> float:
        """The second half's last fifth against its first, by medians."""
        half = self.memory[len(self.memory) // 2 :]
        fifth = max(1, len(half) // 5)
        return statistics.median(half[-fifth:]) / statistics.median(half[:fifth]) - 1


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
        return [*self.failed, *grown, *self.left] + ([] if self.moves else ["the fleet never moved"])

    def table(self) -> list[str]:
        return [
            f"  {name:<14} {one.memory[0] / 1024:6.1f} MB at first, {one.memory[len(one.memory) // 2] / 1024:6.1f} "
            f"half-way, {one.memory[-1] / 1024:6.1f} at the end; second half {one.growth:+.1%}; "
            f"open files {one.files[0]}, {max(one.files)} at most, {one.files[-1]}"
            for name, one in self.sizes.items()
        ]


async def soak(seconds: float, rps: float, period_s: float = PERIOD_S) -> Soaked:
    """Both planes under a load that climbs and falls; `rps` is its peak on each."""

    def shape(moment: float) -> float:
        return rps * (0.55 - 0.45 * math.cos(2 * math.pi * moment / period_s))

    async with stage() as made:
        loads = [Load(plane.id, plane.port) for plane in made.planes]
        sizes = {part.name: Sizes() for part in made.parts}
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            sampling = tasks.create_task(_sample(made, sizes, ended))
            async with asyncio.TaskGroup() as sending:
                for load in loads:
                    sending.create_task(load.run(shape, seconds))
            ended.set()
            await sampling
        await until(lambda: made.watch.settled(1, len(made.planes)), "the fleet rests", 90.0)
        for part in made.parts:
            sizes[part.name].take(part)
        moves = sum(one.kind == "instance" and one.after in {"serving", "draining"} for _, one in made.watch.history)
        failed = [str(one) for load in loads for one in load.failed]
        return Soaked(sum(len(load.sent) for load in loads), failed, moves, sizes, await leave(made))


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
    given = parser.parse_args()
    found = asyncio.run(soak(given.minutes * 60, given.rps))
    print(f"{given.minutes:g} minutes: {found.sent} requests, {len(found.failed)} failed")
    print(f"{found.moves} times an instance came or went")
    print(*found.table(), sep="\n")
    print(*(f"BROKEN: {line}" for line in found.broken), sep="\n")
    return 1 if found.broken else 0


if __name__ == "__main__":
    sys.exit(main())
