"""What a scrape of /metrics costs with 1,000 backends, and what being scraped each second does.

    python -m bench.scrape [--backends 1000] [--scrapes 50] [--seconds 20]

Each part runs in a process of its own, behind its real window: the scaler with the state of a fleet of that size, the
mitmproxy plane and HAProxy's with a report of as many backends. First scrapes one after the other, timed from
connecting to the last byte; then one each second, against as long without, by the process' own processor time.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import statistics
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, cast

from bench.machine import machine
from fleet.backend import LOCAL_HOST, Phase
from fleet.exporter import exporting
from fleet.meter import Load
from fleet.plane_metrics import PlaneMetrics
from fleet.registry import BackendCounters, ProxyReading
from fleet.settings import LifeSettings, PolicySettings, load
from scaler.driver import untraced
from scaler.messages import Tick
from scaler.metrics import Metrics
from scaler.state import Instance, Policy, Proxy, State, Term
from scaler.turn import Step
from tests.valkey import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from fleet.exporter import Source
    from fleet.presence import Presence

LIMIT_MS, CORE_LIMIT = 50.0, 0.01


class Reported:
    """A presence that has reported once."""

    def __init__(self, backends: int) -> None:
        counted = {
            f"production{number}": BackendCounters(1_234_567 + number, number, 0, number % 7, 12.5, 15_000_000 + number)
            for number in range(1, backends + 1)
        }
        self.reading = ProxyReading("p", "s", 1_000_000, 7, 1_234_567, 1_234_560, backends=counted)
        self.generation, self.reachable = 7, True
        self.turned_s = self.confirmed_s = time.monotonic()


def scaler(backends: int) -> Source:
    """Metrics of a scaler that acts on so many."""
    policy = Policy("production", "spec", PolicySettings(max=10_000), LifeSettings())
    metrics = Metrics(policy, time.monotonic, cast("Metrics", None), untraced)
    now = time.monotonic()
    instances = {
        f"production{number}": Instance(f"production{number}", Phase.SERVING, LOCAL_HOST, "spec", now, None, 1)
        for number in range(1, backends + 1)
    }
    state = State(
        instances=instances,
        adopted=True,
        term=Term(1, now, now + 10_000, 4.0),
        load=Load(10.0, 10.0, 1.0, 1.0, 1, 0, full=True, idle=False),
        proxies={f"proxy{number}": Proxy(7) for number in range(50)},
    )
    metrics(Tick(now, None), Step(state, (), ()))
    return metrics


def plane(backends: int) -> Source:
    """Metrics of a data plane with so many."""
    return PlaneMetrics(cast("Presence", Reported(backends)))


PARTS = {"scaler": scaler, "data plane": plane}


def serve(part: str, backends: int, port: int, pipe: Connection) -> None:
    """Listen; tell the process' processor time whenever asked."""
    with exporting(load(None), "bench", port, PARTS[part](backends), print):
        pipe.send(0.0)
        while pipe.recv():
            pipe.send(time.process_time())


def scrape(port: int) -> tuple[float, bytes]:
    """Milliseconds, and the page."""
    began = time.perf_counter()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", "/metrics")
        page = connection.getresponse().read()
    return (time.perf_counter() - began) * 1000, page


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--backends", type=int, default=1000)
    parser.add_argument("--scrapes", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    print(machine())
    for part in PARTS:
        measure(part, options)


def measure(part: str, options: argparse.Namespace) -> None:
    port = free_port()
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    process = context.Process(target=serve, args=(part, options.backends, port, theirs), daemon=True)
    process.start()
    ours.recv()
    times = [scrape(port)[0] for _ in range(options.scrapes)]
    _, page = scrape(port)
    kinds = Counter(line.startswith(b"#") for line in page.splitlines())
    worst, median = max(times), statistics.median(times)
    print(
        f"{part}: {options.backends} backends, {kinds[False]} samples, {len(page) / 1000:.0f} kB: "
        f"median {median:.1f} ms, worst {worst:.1f} ms of {len(times)}; at most {LIMIT_MS:g} ms"
    )
    idle = spent(ours, lambda: None, options.seconds)
    busy = spent(ours, lambda: scrape(port), options.seconds)
    print(f"  processor time, idle {idle:.2%} of a core, scraped each second {busy:.2%}; at most {CORE_LIMIT:.0%} more")
    ours.send(False)
    process.join()


def spent(pipe: Connection, each_second: Callable[[], object], seconds: int) -> float:
    """The share of a core that the part's process took."""
    before = asked(pipe)
    began = time.monotonic()
    for number in range(1, seconds + 1):
        each_second()
        time.sleep(max(0.0, began + number - time.monotonic()))  # noqa: TID251  # a benchmark keeps time
    return (asked(pipe) - before) / (time.monotonic() - began)


def asked(pipe: Connection) -> float:
    pipe.send(True)
    return float(pipe.recv())


if __name__ == "__main__":
    main()
