"""How often is a canary as good as the stable set cut off by mistake? Simulated hours, each with chance of its own.

    python bench/canary_false.py [--seeds 200] [--errors 0.01] [--share 10]

The whole scaler runs each hour: orders, publications, looks at the counters, the judge. 100 requests a second, of
which both sets fail the same share and take the same time, spread widely. Printed beside it: how long a canary with
20 % errors lasts in the same world.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from typing import TYPE_CHECKING

from bench.machine import machine
from fleet.registry import Order, OrderKind
from fleet.settings import LifeSettings, PolicySettings
from scaler.course import Course
from scaler.messages import Publish, Report
from scaler.simulate import simulate
from scaler.state import Policy

if TYPE_CHECKING:
    from scaler.messages import Event
    from scaler.turn import Step

RPS, BEGIN_S, HOUR_S = 100.0, 60.0, 3600.0


def cut_after(seed: int, share: int, errors: float, canary_errors: float, until_s: float) -> float | None:
    """Seconds from the canary's first request to its cut; None where it was not cut."""
    begun, cut = 0.0, None

    def trace(event: Event, taken: Step) -> None:
        nonlocal begun, cut
        for effect in taken.effects:
            told = effect.change.happenings if isinstance(effect, Publish) else ()
            told = effect.happenings if isinstance(effect, Report) else told
            for one in told:
                if one.kind == "canary" and one.after == "serving":
                    begun = event.now
                elif one.kind == "canary" and one.after == "cut":
                    cut = event.now

    course = Course(
        lambda _: RPS,
        BEGIN_S + until_s,
        carries_rps=40,
        errors=errors,
        canary_errors=canary_errors,
        seed=seed,
        orders=((BEGIN_S, Order(OrderKind.DEPLOY, id="1-1", image="v2", share=share)),),
    )
    sizes = PolicySettings(target_rps=20)
    simulate(Policy("web", "spec1", sizes, LifeSettings()), course, trace)
    return None if cut is None else cut - begun


def _equal(arguments: tuple[int, int, float]) -> float | None:
    seed, share, errors = arguments
    return cut_after(seed, share, errors, errors, HOUR_S)


def _worse(arguments: tuple[int, int, float]) -> float | None:
    seed, share, errors = arguments
    return cut_after(seed, share, errors, 0.2, 300.0)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--errors", type=float, default=0.01)
    parser.add_argument("--share", type=int, default=10)
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    jobs = [(seed, asked.share, asked.errors) for seed in range(1, asked.seeds + 1)]
    with ProcessPoolExecutor(asked.processes) as pool:
        mistakes = [found for found in pool.map(_equal, jobs, chunksize=4) if found is not None]
        lasted = [found for found in pool.map(_worse, jobs, chunksize=4) if found is not None]
    print(machine())
    print(f"equal sets, {asked.errors:.0%} errors, {asked.share} % share, {len(jobs)} hours: {len(mistakes)} cut off")
    print(
        f"20 % errors: {len(lasted)} of {len(jobs)} cut off, median {median(lasted):.1f} s, worst {max(lasted):.1f} s"
    )


if __name__ == "__main__":
    main()
