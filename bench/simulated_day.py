"""How long a simulated day takes: 86,400 ticks through the production code, with a load that climbs and falls.

    python -m bench.simulated_day

Prints the seconds of three runs and their median, beside the limit of 5 s; exit 1 above it. `cpu s` is the processor
time of the same runs, for machines that have other work.
"""

from __future__ import annotations

import math
import statistics
import sys
import time

from bench.machine import machine
from fleet.settings import LifeSettings, PolicySettings
from scaler.course import Course
from scaler.driver import untraced
from scaler.simulate import simulate
from scaler.state import Policy

DAY_S = 86_400.0
RUNS = 3
LIMIT_S = 5.0


def climbing(at: float) -> float:
    """A day from 5 to 85 requests a second and back."""
    return 45.0 - 40.0 * math.cos(at * 2 * math.pi / DAY_S)


def one() -> tuple[float, float]:
    """Seconds by the clock, and of processor time, of one day."""
    policy = Policy("web", "spec", PolicySettings(), LifeSettings())
    began, cpu = time.perf_counter(), time.process_time()
    state = simulate(policy, Course(climbing, DAY_S), untraced)
    took = time.perf_counter() - began, time.process_time() - cpu
    assert state.serial >= 8, "the fleet did not follow"
    return took


def main() -> int:
    """Print the runs."""
    print(f"a simulated day, tick 1 s; {machine()}")
    runs = []
    for number in range(1, RUNS + 1):
        runs.append(one())
        print(f"run {number}: {runs[-1][0]:.2f} s, {runs[-1][1]:.2f} cpu s")
    wall_s, cpu_s = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"median {wall_s:.2f} s ({cpu_s:.2f} cpu s), {wall_s / LIMIT_S:.2f} of the {LIMIT_S:g} s allowed")
    return int(wall_s > LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
