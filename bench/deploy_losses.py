"""What clients notice of deploys under steady load; they never try again. And how soon a broken image is told.

Five containers behind `stoker up`; each deploy is the real command. Nothing may be lost, and never fewer may serve than
before. Usage: python -m bench.deploy_losses [mitmproxy|haproxy|both] [times] [rps]
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.machine import machine
from fleet.backend import Phase
from fleet.clock import Clock
from fleet.store.desk import RedisDesk
from stoker.demo.client import Client
from stoker.demo.load import Load
from stoker.demo.run import serving_desk
from stoker.demo.stage import Stage, stage
from tests.engine import Engine, using_engine

if TYPE_CHECKING:
    from collections.abc import Iterator


RATE_RPS = 200.0
INSTANCES = 5
LONGEST_S = 3600.0
LOOK_S = 0.05
START_TIMEOUT_S = 10.0
DIES_AFTER_S = 2
TOLD_WITHIN_S = 5.0
DIES = f"busybox httpd -p 3000 -h /www; busybox sleep {DIES_AFTER_S}; echo out of luck; exit 7"
# What is deployed, and how long it may take until that much is certain.
BROKEN = {
    "ends at once": ('["/bin/exits"]', 0.0),
    "is never ready": ('["/bin/silent"]', START_TIMEOUT_S),
    "is ready, then dies": (json.dumps(["/bin/busybox", "sh", "-c", DIES]), DIES_AFTER_S),
}


@dataclass(slots=True)
class Watch:
    """The fewest that served, and every name that did, while it looks."""

    desk: RedisDesk
    fewest: int = INSTANCES
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look until `end`."""
        while not self._over.wait(LOOK_S):
            self.fewest = min(self.fewest, len(self.serving()))

    def serving(self) -> set[str]:
        """The names of those that serve."""
        snapshot = self.desk.status().snapshot
        backends = snapshot.backends.values() if snapshot else ()
        return {backend.name for backend in backends if backend.phase is Phase.SERVING}

    def end(self) -> None:
        """Look no more."""
        self._over.set()


@dataclass(frozen=True, slots=True)
class Deployed:
    """How one command ended. `told_s` is how long after the last sign of a new instance's start that was."""

    code: int
    took_s: float
    said: str
    told_s: float | None


def deploy(found: Stage, *words: str) -> Deployed:
    """Run the command."""
    now = Clock().now
    config = str(found.log.with_name("stoker.toml"))
    argv = [sys.executable, "-P", "-m", "stoker", "deploy", "--json", *words, "--config", config]
    begun = now()
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    ended = now()
    *events, last = map(json.loads, ran.stdout.splitlines())
    signs = [one["at"] for one in events if one["to"] in {Phase.STARTING, Phase.WARMING}]
    return Deployed(ran.returncode, ended - begun, "; ".join(last["reasons"]), ended - signs[-1] if signs else None)


@contextmanager
def images(engine: Engine, commands: dict[str, str]) -> Iterator[dict[str, str]]:
    """An image for each, made of the test image with another command; removed at the end."""
    made = {}
    try:
        for number, (name, command) in enumerate(commands.items()):
            text = f'FROM {engine.image}\nENV VERSION="{name}"\nCMD {command}\n'
            tag = f"stoker-bench:v{number}"
            engine.client.images.build(fileobj=io.BytesIO(text.encode()), tag=tag, rm=True)
            made[name] = tag
        yield made
    finally:
        for tag in made.values():
            engine.client.images.remove(tag, force=True)


def good_deploys(found: Stage, watch: Watch, tags: list[str], times: int) -> int:
    """Deploy one image after another; how many did not end well."""
    missed = 0
    for number in range(times):
        ended = deploy(found, tags[(number + 1) % len(tags)])
        good = ended.code == 0 and watch.fewest >= INSTANCES
        missed += not good
        print(f"  deploy {number + 1}: exit {ended.code} in {ended.took_s:.1f} s, fewest serving {watch.fewest}")
    return missed


def broken_deploys(found: Stage, watch: Watch, made: dict[str, str]) -> int:
    """Deploy each broken image; how many were not told in time, or touched the old set."""
    missed = 0
    for name, (_, deadline_s) in BROKEN.items():
        before = watch.serving()
        ended = deploy(found, made[name])
        told_s = (ended.took_s if ended.told_s is None else ended.told_s) - deadline_s
        untouched = watch.serving() == before and watch.fewest >= INSTANCES
        missed += ended.code != 1 or not untouched or told_s > TOLD_WITHIN_S
        print(f"  one that {name}: exit {ended.code}, {told_s:.1f} s after its deadline; must be 1 and "
              f"{TOLD_WITHIN_S:g} s; old set untouched: {untouched}\n    {ended.said}")  # fmt: skip
    return missed


async def under_load(
    load: Load, found: Stage, desk: RedisDesk, made: dict[str, str], times: int, rate_rps: float
) -> int:
    """All deploys while requests go on."""
    watch = Watch(desk)

    def work() -> int:
        goods = [tag for name, tag in made.items() if name not in BROKEN]
        return good_deploys(found, watch, goods, times) + broken_deploys(found, watch, made)

    watching = asyncio.ensure_future(asyncio.to_thread(watch.run))
    working = asyncio.ensure_future(asyncio.to_thread(work))
    sending = asyncio.ensure_future(load.run(lambda _: rate_rps, LONGEST_S, working.done))
    missed = await working
    await sending
    watch.end()
    await watching
    return missed


def main(plane: str, times: int, rate_rps: float) -> int:
    with using_engine() as engine:
        os.environ["DOCKER_HOST"] = engine.address
        serve = '["/bin/serve"]'
        commands = {"one": serve, "two": serve, **{name: command for name, (command, _) in BROKEN.items()}}
        with images(engine, commands) as made, stage(
            "docker",
            instance={"image": made["one"], "port": 3000, "pull": "never"},
            policy={"min": INSTANCES, "max": INSTANCES},
            life={"start_timeout_s": START_TIMEOUT_S},
            proxy={"kind": plane},
        ) as found:  # fmt: skip
            proxy = found.settings.proxy
            desk = asyncio.run(serving_desk(found))
            load = Load(Client(proxy.listen_address, proxy.listen_port), Clock().now)
            missed = asyncio.run(under_load(load, found, desk, made, times, rate_rps))
    took_s = load.ended[-1].ended_at - load.ended[0].sent_at
    print(f"{plane}: {times} deploys and {len(BROKEN)} broken ones: {load.sent} requests in {took_s:.0f} s, "
          f"{len(load.failed)} lost; must be 0")  # fmt: skip
    for fault, count in load.faults.items():
        print(f"  {count} x {fault}")
    return missed + len(load.failed)


if __name__ == "__main__":
    print(machine())
    chosen, times, rate = [*sys.argv[1:], *("both", "10", str(RATE_RPS))[len(sys.argv) - 1 :]]
    planes = ["mitmproxy", "haproxy"] if chosen == "both" else [chosen]
    sys.exit(sum(main(plane, int(times), float(rate)) for plane in planes))
