"""Memory of mitmdump with the addon over 100,000 requests, half of the time on new connections, after a warm-up."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.addon_rig import Proxy, machine, proxies, wrk


def send(proxy: Proxy, wanted: int) -> int:
    sent = 0
    while sent < wanted:
        # Each run opens its connections anew.
        sent += wrk(proxy, 2.0, connections=64).requests
    return sent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--warm-up", type=int, default=20_000)
    given = parser.parse_args()
    print(machine())
    with proxies("addon") as [proxy]:
        send(proxy, given.warm_up)
        before_mb = proxy.rss_mb
        sent = send(proxy, given.requests)
        after_mb = proxy.rss_mb
    print(f"{before_mb:.1f} MB, after {sent} more requests {after_mb:.1f} MB")
    print(f"grew by {after_mb - before_mb:.1f} MB (must: 5 MB or less)")


if __name__ == "__main__":
    main()
