"""Breaks real processes on purpose, by seed, and says which promise broke, when.

python -m tests.chaos.live --seed 1 [--seconds 180] [--seeds 1-10] [--story]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter

from tests.chaos.live.plan import drawn
from tests.chaos.live.run import run


def main() -> int:
    """0 where every promise held."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.live", description=__doc__)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seeds", default="1-10", help="from-to, one after the other; --seed wins")
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--story", action="store_true", help="print faults and history even if nothing broke")
    given = parser.parse_args()
    first, _, last = (str(given.seed) if given.seed is not None else given.seeds).partition("-")
    broken, sent, allowed = 0, 0, Counter[str]()
    for seed in range(int(first), int(last or first) + 1):
        outcome = asyncio.run(run(drawn(seed, given.seconds)))
        broken += len(outcome.broken)
        sent += outcome.sent
        allowed += outcome.allowed
        print(
            f"seed {seed}, {given.seconds:g} s: {outcome.faults} faults, {outcome.terms} terms, {outcome.moves} "
            f"transitions, {outcome.sent} requests, {sum(outcome.allowed.values())} failed as allowed, "
            f"{len(outcome.broken)} broken",
            flush=True,
        )
        if outcome.broken or given.story:
            print(*outcome.story, *outcome.broken, sep="\n", flush=True)
    print(f"{sent} requests; failed as they may:", *(f"  {count} {why}" for why, count in allowed.items()), sep="\n")
    print(f"{broken} broken" if broken else "every promise held")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
