"""Runs simulated hours with every fault, and says which promise broke, when, and with which few faults.

python -m tests.chaos.simulated --seeds 0-999 [--jobs 2] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from itertools import repeat
from pathlib import Path

import structlog

from tests.chaos.simulated.model import BrokenError
from tests.chaos.simulated.plan import HOUR_S, drawn
from tests.chaos.simulated.shrink import shrink
from tests.chaos.simulated.text import RULE, to_text
from tests.chaos.simulated.thaw import thaw
from tests.chaos.simulated.world import World

SILENT = 50  # above every level that the scaler logs on
EVERY = 50


def main() -> int:
    """0 where every promise held in every run."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.simulated", description=__doc__)
    parser.add_argument("--seeds", default="0-199", help="one, or from-to")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=HOUR_S, help="traffic of each run")
    parser.add_argument("--keep", type=Path, help="the folder for the scenario of each broken promise")
    chosen = parser.parse_args()
    first, _, last = chosen.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    began, totals, failures = time.monotonic(), dict[str, int](), list[str]()
    with ProcessPoolExecutor(chosen.jobs, initializer=_hurry) as pool:
        done = pool.map(one, seeds, repeat(chosen.seconds), repeat(chosen.keep), chunksize=4)
        for number, (counts, failure) in enumerate(done, start=1):
            for name, count in counts.items():
                totals[name] = totals.get(name, 0) + count
            if failure:
                failures.append(failure)
                print(failure, flush=True)
            if number % EVERY == 0 or number == len(seeds):
                spent_s = time.monotonic() - began
                print(f"{number} of {len(seeds)} runs, {spent_s:.0f} s, {len(failures)} broken", flush=True)
    spent_s = time.monotonic() - began
    print(f"seeds {chosen.seeds} of {chosen.seconds:g} s: {spent_s:.1f} s, {spent_s / len(seeds):.3f} s a seed")
    print(", ".join(f"{count} {name}" for name, count in totals.items()))
    print(f"{len(failures)} broken" if failures else "every promise held")
    return 1 if failures else 0


def _hurry() -> None:
    """A run makes millions of small values and next to no cycles: looking for those takes a tenth of its time."""
    thaw("fleet", "scaler", "tests")
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def one(seed: int, seconds: float, keep: Path | None) -> tuple[dict[str, int], str]:
    """One run: what it came to, and how it failed, "" for not at all."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(SILENT))
    plan = drawn(seed, seconds)
    try:
        return asdict(World(plan).run()), ""
    except BrokenError as raised:
        error = raised
    failure = f"seed {seed} at {error.at:.1f} s: {error}"
    if keep is not None:
        smaller, left = shrink(plan, error)
        keep.mkdir(parents=True, exist_ok=True)
        file = keep / f"seed{seed}.txt"
        file.write_text(f"# {left}\n{to_text(smaller)}\n{RULE}\nevery promise held\n", encoding="utf-8")
        failure = f"{failure}\n  shrunk to {len(smaller.faults)} faults in {file}"
    return {}, failure


if __name__ == "__main__":
    sys.exit(main())
