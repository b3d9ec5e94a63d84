"""What the hooks cost a request that does not fail: ours from its head to its end, and what each call takes.

`requestheaders` chooses the backend, rewrites the headers and gives the request its random id; `response` counts its
end, and is where a failure would be noticed.
"""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mitmproxy.http import Headers, HTTPFlow, Response
from mitmproxy.test import tflow

from addon.capture import Capture
from addon.forward import RequestIds
from addon.options import Configuration
from addon.plane import Plane
from addon.router import Router
from bench.addon_rig import machine
from fleet.backend import Backend, Phase
from fleet.registry import Snapshot
from fleet.settings import load

FIELDS = (
    (b"Host", b"app.example"),
    (b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"),
    (b"Accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    (b"Accept-Language", b"en-US,en;q=0.5"),
    (b"Accept-Encoding", b"gzip, deflate, br"),
    (b"Cookie", b"session=0123456789abcdef0123456789abcdef"),
    (b"Connection", b"keep-alive"),
    (b"X-Stoker-Request", b"00000000000000000000000000000000"),
)
MUST_US = 30.0


def flows(count: int) -> list[HTTPFlow]:
    made = []
    for _ in range(count):
        flow = tflow.tflow()
        flow.request.headers = Headers(FIELDS)
        flow.request.path = "/orders/1"
        flow.response = None
        made.append(flow)
    return made


def measure(router: Router, count: int) -> dict[str, float]:
    """Microseconds a call of each hook."""
    asked, answer = flows(count), Response.make(200, b"Hello", {"Content-Type": "text/plain"})
    gc.collect()
    gc.disable()
    took: dict[str, float] = {}
    for name, hook in (
        ("requestheaders", router.requestheaders),
        ("responseheaders", router.responseheaders),
        ("response", router.response),
    ):
        if name == "responseheaders":
            for flow in asked:
                flow.response = answer
        began_s = perf_counter()
        for flow in asked:
            hook(flow)
        took[name] = 1e6 * (perf_counter() - began_s) / count
    ids = RequestIds()
    began_s = perf_counter()
    for _ in range(count):
        ids.next()
    took["of it the random id"] = 1e6 * (perf_counter() - began_s) / count
    gc.enable()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    print(machine())
    configuration = Configuration()
    settings = load(None, profile_token="0123456789abcdef", **{"crashes.profile_share": 0.01})  # noqa: S106  # of a benchmark
    configuration.plane = plane = Plane(settings, "bench")
    urls = {f"production{n}": f"http://10.0.0.{n}:80" for n in (1, 2, 3)}
    plane.apply(Snapshot(1, {name: Backend(name, Phase.SERVING, url) for name, url in urls.items()}))
    router = Router(configuration, Capture(configuration))
    measure(router, 1000)
    runs = [measure(router, given.requests) for _ in range(given.rounds)]
    for name in runs[0]:
        print(f"{name:22} {median(run[name] for run in runs):6.2f} us (must: {MUST_US:g} us or less)")


if __name__ == "__main__":
    main()
