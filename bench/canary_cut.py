"""How soon a canary is cut off that fails a fifth of its requests, where the stable set fails a hundredth.

Five containers behind `stoker up`, 100 requests a second, and `stoker deploy IMAGE --canary 10%`, again and again. The
time runs from when the canary is published as serving to when its end is. Usage:
python -m bench.canary_cut [mitmproxy|haproxy|both] [times]
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import statistics
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.deploy_losses import deploy
from bench.machine import machine
from fleet.clock import Clock
from stoker.demo.client import Client
from stoker.demo.load import Load
from stoker.demo.run import serving_desk
from stoker.demo.stage import Stage, stage
from tests.engine import Engine, using_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.registry import Happening
    from fleet.store.desk import RedisDesk

RATE_RPS = 100.0
INSTANCES = 5
SHARE = "10%"
LONGEST_S = 3600.0
MUST_S = 10.0
CUT_WITHIN_S = 90.0
WAIT = threading.Event()
BENCH = Path(__file__).resolve().parent
# The test image holds nothing but busybox.
VOLUMES = [f"{BENCH}:/bench:ro", *(f"{path}:{path}:ro" for path in ("/usr", "/lib", "/lib64"))]


@contextmanager
def images(engine: Engine) -> Iterator[tuple[str, str]]:
    """One that fails a hundredth, and one that fails a fifth; removed at the end."""
    tags = (f"stoker-canary-{os.getpid()}:good", f"stoker-canary-{os.getpid()}:bad")
    try:
        for tag, per_cent in zip(tags, (1, 20), strict=True):
            text = f"FROM {engine.image}\nCMD {failing(per_cent)}\n"
            engine.client.images.build(fileobj=io.BytesIO(text.encode()), tag=tag, rm=True)
        yield tags
    finally:
        for tag in tags:
            engine.client.images.remove(tag, force=True)


def failing(per_cent: int) -> str:
    """The command of an image that fails so many of its requests, by chance; Python is this machine's own."""
    return json.dumps(["/usr/bin/python3", "-S", "/bench/failing_backend.py", "3000", str(per_cent)])


async def canaries(load: Load, found: Stage, desk: RedisDesk, image: str, times: int) -> list[float]:
    """One canary after another under load; how long each lasted."""
    lasted: list[float] = []

    def work() -> None:
        for number in range(times):
            seen = desk.history("", wait_s=0)[-1][0]
            ended = deploy(found, image, "--canary", SHARE)
            took_s, why = cut_after(desk, seen)
            lasted.append(took_s)
            print(f"  {number + 1}: exit {ended.code}; cut off after {took_s:.1f} s: {why}", flush=True)

    working = asyncio.ensure_future(asyncio.to_thread(work))
    sending = asyncio.ensure_future(load.run(lambda _: RATE_RPS, LONGEST_S, working.done))
    await working
    await sending
    return lasted


def cut_after(desk: RedisDesk, seen: str) -> tuple[float, str]:
    """Wait for the cut; how long the canary had served by then, and why it was cut."""
    until = Clock().now() + CUT_WITHIN_S
    while Clock().now() < until:
        told = [one for _, one in desk.history(seen, wait_s=0)]
        cut = next((one for one in told if one.kind == "canary" and one.after == "cut"), None)
        if cut is not None:
            return cut.at - _began(told), cut.reasons[0]
        WAIT.wait(0.2)
    return CUT_WITHIN_S, "never"


def _began(told: list[Happening]) -> float:
    began = [one.at for one in told if one.kind == "instance" and one.after == "serving"]
    return min(began, default=told[-1].at)


def main(plane: str, times: int) -> int:
    with using_engine() as engine:
        os.environ["DOCKER_HOST"] = engine.address
        with images(engine) as (good, bad), stage(
            "docker",
            instance={"image": good, "port": 3000, "pull": "never", "volumes": VOLUMES},
            policy={"min": INSTANCES, "max": INSTANCES},
            proxy={"kind": plane},
        ) as found:  # fmt: skip
            proxy = found.settings.proxy
            desk = asyncio.run(serving_desk(found))
            load = Load(Client(proxy.listen_address, proxy.listen_port), Clock().now)
            lasted = asyncio.run(canaries(load, found, desk, bad, times))
    median = statistics.median(lasted)
    print(f"{plane}: cut off after {median:.1f} s, median of {times} ({min(lasted):.1f} to {max(lasted):.1f}); "
          f"must be {MUST_S:g} s")  # fmt: skip
    return int(median > MUST_S)


if __name__ == "__main__":
    print(machine())
    chosen = sys.argv[1] if len(sys.argv) > 1 else "both"
    planes = ["mitmproxy", "haproxy"] if chosen == "both" else [chosen]
    sys.exit(sum(main(plane, int(sys.argv[2]) if len(sys.argv) > 2 else 10) for plane in planes))
