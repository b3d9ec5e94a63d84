"""What the crash middleware costs a page of 10 ms on Puma, and how many crashes it profiles.

The processor time a page takes is printed beside the throughput, which other work on the machine disturbs more.
"""

from __future__ import annotations

import http.client
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from bench.machine import machine
from tests.flamegraph.rails.rubies import REPOSITORY, Ruby, find
from tests.flamegraph.rails.shop import Shop, shop

PAIRS = 20
RUN_S = 0.6
PAGE = "/report?ms=10"
CRASHES = 100
SINGLE = {"WEB_CONCURRENCY": "0"}
WITHOUT = """
$LOADED_FEATURES << {middleware!r}
class StokerCrashes
  def initialize(app) = @app = app
  def call(env) = @app.call(env)
end
require {app!r}
run Shop
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What a single connection had in a while: pages a second, and the server's processor time a page."""

    pages_s: float
    cpu_ms: float


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(running: Shop) -> Run:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    count, used, started = 0, cpu_s(running.pid), perf_counter()
    while perf_counter() - started < RUN_S:
        connection.request("GET", PAGE)
        answer = connection.getresponse()
        answer.read()
        count += 1
        assert answer.status == 200
    connection.close()
    return Run(count / (perf_counter() - started), (cpu_s(running.pid) - used) * 1000 / count)


def throughput(ruby: Ruby, folder: Path) -> None:
    bare = folder / "bare.ru"
    names = {"middleware": "flamegraph/rails/stoker_crashes.rb", "app": "example/rails/app.rb"}
    bare.write_text(WITHOUT.format(**{name: str(REPOSITORY / path) for name, path in names.items()}), encoding="utf-8")
    with ExitStack() as stack:
        shops = {
            "none": stack.enter_context(shop(ruby, folder, bare, **SINGLE)),
            "none again": stack.enter_context(shop(ruby, folder, bare, **SINGLE)),
            "every request": stack.enter_context(shop(ruby, folder, None, **SINGLE)),
            "1 in 100": stack.enter_context(shop(ruby, folder, None, STOKER_PROFILE_EVERY="100", **SINGLE)),
        }
        for running in shops.values():
            load(running)
        rounds = [{name: load(running) for name, running in shops.items()} for _ in range(PAIRS)]
    bare_ms = statistics.median(one["none"].cpu_ms for one in rounds)
    print(
        f"  none: {statistics.median(one['none'].pages_s for one in rounds):.1f} pages/s, {bare_ms:.2f} ms of processor"
    )
    for name in list(shops)[1:]:
        ratios = sorted(one[name].pages_s / one["none"].pages_s for one in rounds)
        cpu_ms = statistics.median(one[name].cpu_ms for one in rounds)
        words = f"{statistics.median(ratios):.3f} of its pages, from {ratios[0]:.3f} to {ratios[-1]:.3f}"
        print(f"  {name}: {words}, {PAIRS} pairs; {cpu_ms:.2f} ms of processor, {bare_ms / cpu_ms:.3f}")


def shares(ruby: Ruby, folder: Path) -> None:
    """How many of the crashes are profiled, one at a time and with every thread busy."""
    with shop(ruby, folder) as running:
        for clients, words in ((1, "one at a time"), (4, "4 clients"), (8, "8 clients, every thread busy")):
            with ThreadPoolExecutor(clients) as threads:
                found = list(threads.map(running.crash, ["/invoice?ms=20"] * CRASHES))
            reasons = Counter(document["unprofiled"] or "profiled" for document in found)
            print(f"  {words}: of {CRASHES} crashes {len(found)} told, {dict(reasons.most_common())}")


def main() -> None:
    print(machine())
    for name in sys.argv[1:] or ("system", "newer"):
        ruby = find(name)
        called = subprocess.run([ruby.command, "bench/crash_middleware.rb"], capture_output=True, text=True, check=True)
        print(called.stdout.strip())
        with tempfile.TemporaryDirectory() as folder:
            throughput(ruby, Path(folder))
            shares(ruby, Path(folder))


if __name__ == "__main__":
    main()
