"""Throughput of mitmdump with the addon over three backends, beside bare mitmdump and one with the same addons removed.

Same core, wrk with 32 connections, alternating; the ratios are medians over the rounds. The processor time for a
request is the second opinion: it does not depend on who else uses the machine.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.addon_rig import Load, machine, proxies, wrk


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    given = parser.parse_args()
    print(machine())
    runs: dict[str, list[Load]] = {"bare": [], "pruned": [], "addon": []}
    with proxies(*runs) as running:
        for proxy in running:
            wrk(proxy, 2.0)
        for _ in range(given.rounds):
            for proxy in running:
                load = wrk(proxy, given.seconds)
                runs[proxy.name].append(load)
                print(f"{proxy.name:8} {load.rps:8.0f} rps {load.cpu_us:8.0f} us of processor, {load.failed} failed")
    for peer, least in (("bare", 1.4), ("pruned", 0.85)):
        pairs = list(zip(runs["addon"], runs[peer], strict=True))
        rps = median(ours.rps / theirs.rps for ours, theirs in pairs)
        cpu = median(theirs.cpu_us / ours.cpu_us for ours, theirs in pairs)
        print(f"addon / {peer}: {rps:.2f} times the throughput (must: {least:.2f}), by processor time {cpu:.2f}")


if __name__ == "__main__":
    main()
