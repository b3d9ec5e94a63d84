"""One route decision with 10,000 backends: choosing one for a request, and taking the request off it again."""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from statistics import median
from time import thread_time

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from addon.balance import balancer
from addon.counter import Token
from addon.roster import Roster
from bench.addon_rig import machine
from fleet.backend import Backend, Phase
from fleet.registry import Snapshot
from fleet.settings import load

IN_FLIGHT = 2_000


def roster(kind: str, count: int, weights: tuple[int, ...]) -> Roster:
    made = Roster(lambda: balancer(kind), load().networks)
    entries = {
        f"production{n}": Backend(
            f"production{n}", Phase.SERVING, f"http://10.0.{n >> 8}.{n & 255}:80", weights[n % len(weights)]
        )
        for n in range(1, count + 1)
    }
    made.apply(Snapshot(1, entries))
    return made


def decide(chosen_from: Roster, decisions: int) -> float:
    """Microseconds a decision, requests ending in a random order."""
    under_way = [Token("client", 0.0) for _ in range(IN_FLIGHT)]
    for token in under_way:
        chosen_from.choose(token, 0.0)
    turns = [random.randrange(IN_FLIGHT) for _ in range(decisions)]
    began_s = thread_time()
    for turn in turns:
        token = under_way[turn]
        chosen_from.release(token)
        chosen_from.choose(token, 0.0)
    return 1e6 * (thread_time() - began_s) / decisions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=100_000)
    given = parser.parse_args()
    print(machine())
    for kind in ("round_robin", "least_in_flight"):
        for weights in ((100,), (1, 7, 100, 256)):
            few, many = (
                median(decide(roster(kind, count, weights), given.decisions) for _ in range(5))
                for count in (10, 10_000)
            )
            label = f"{kind}, weights {'equal' if len(weights) == 1 else 'mixed'}"
            print(f"{label:32} 10 backends {few:.2f} us, 10,000 {many:.2f} us (must: 5 us or less)")


if __name__ == "__main__":
    main()
