"""Seconds under capacity, instance-hours and changes of both policies on recorded traffic, simulated.

    python bench/traces.py [FOLDER] [TRACE ...]

One instance carries a twentieth of the trace's peak and boots in 10 s; its target is 0.7 of what it carries. Changes
are counted after the first minute, in which the fleet fills up from nothing.
"""

from __future__ import annotations

import csv
import gzip
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.backend import Phase
from fleet.settings import LifeSettings, PolicySettings
from scaler.course import Course, recorded
from scaler.messages import Event, Publish, Report
from scaler.simulate import simulate
from scaler.state import Policy

if TYPE_CHECKING:
    from scaler.turn import Step

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "traces"
BOOT_S = 10.0
INSTANCES_AT_PEAK = 20
SETTLED_S = 60.0  # changes are counted from here: before it, the fleet only fills up from nothing


def read(path: Path) -> tuple[list[float], float]:
    """The requests of each bin, and the length of a bin in seconds."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        rows = [(float(row["time_s"]), float(row["requests"])) for row in csv.DictReader(lines)]
    return [count for _, count in rows], rows[1][0] - rows[0][0]


class Ledger:
    """Adds up, second by second, what the fleet was and what it should have been."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.at = 0.0
        self.serving = self.there = 0
        self.under_s = self.instance_s = 0.0
        self.changes = 0

    def __call__(self, event: Event, taken: Step) -> None:
        """Take in one step."""
        span, self.at = event.now - self.at, event.now
        self.instance_s += self.there * span
        if self.course.rps(event.now) > self.serving * self.course.carries_rps:
            self.under_s += span
        for effect in taken.effects:
            if isinstance(effect, Publish | Report):
                told = effect.change.happenings if isinstance(effect, Publish) else effect.happenings
                self.changes += sum(1 for item in told if item.kind == "decision" and item.at > SETTLED_S)
            if isinstance(effect, Publish):
                phases = [backend.phase for backend in effect.change.backends.values()]
                self.serving, self.there = phases.count(Phase.SERVING), len(phases)


def play(path: Path, kind: str) -> tuple[Ledger, float, float]:
    """One trace under one policy: what came out, the hours that it covers, the seconds that it took."""
    counts, bin_s = read(path)
    carries = max(counts) / bin_s / INSTANCES_AT_PEAK
    sizes = PolicySettings(kind=kind, max=40, target_rps=0.7 * carries, up_rps=0.8 * carries, down_rps=0.6 * carries)
    course = Course(recorded(counts, bin_s), len(counts) * bin_s, boot_s=BOOT_S, carries_rps=carries)
    policy = Policy("trace", "spec", sizes, LifeSettings())
    ledger = Ledger(course)
    began = time.perf_counter()
    simulate(policy, course, ledger)
    return ledger, course.until_s / 3600, time.perf_counter() - began


def main() -> None:
    """Print one line a trace and policy."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    if not folder.is_dir():
        sys.exit(f"{folder} is not a folder of traces (time_s,requests)")
    print("trace                              policy       hours  under s  under %   inst-h changes/h  took s")
    for path in sorted(folder.glob("*.csv*")):
        if len(sys.argv) > 2 and not any(word in path.name for word in sys.argv[2:]):
            continue
        for kind in ("target", "threshold"):
            ledger, hours, took_s = play(path, kind)
            share = ledger.under_s / (hours * 36)
            print(
                f"{path.name:34} {kind:10} {hours:7.1f} {ledger.under_s:8.0f} {share:8.2f} "
                f"{ledger.instance_s / 3600:8.1f} {ledger.changes / hours:9.1f} {took_s:7.1f}"
            )


if __name__ == "__main__":
    main()
