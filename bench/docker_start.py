"""How long from the order of an instance to its first 200, by the docker actuator and by `docker run`, in turns.

The app boots for 0.3 s before it listens. Must: the part of the actuator and the probe stays well below 1.0 s, for
the decision before it and the proxies after it come on top.
"""

from __future__ import annotations

import queue
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.machine import machine
from fleet.settings import Settings
from scaler.actuators.actuator import Started, StartOrder
from scaler.actuators.definition import definition_hash
from scaler.actuators.opening import open_actuator
from scaler.actuators.probe import Prober
from scaler.messages import Outcome
from tests.engine import Engine, using_engine

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 10
BOOT_S = 0.3
APP = "bench-docker-start"


def until_ready(url: str) -> None:
    """Probe as the scaler does, every 100 ms."""
    outcomes: queue.Queue[Outcome] = queue.Queue()
    prober = Prober("/up", 2.0, lambda _name, outcome, _detail: outcomes.put(outcome))
    prober.start()
    prober.set_targets([("one", url, 0.1)])
    while outcomes.get() is not Outcome.READY:
        pass
    prober.close()


def by_actuator(settings: Settings) -> Callable[[int], tuple[float, float]]:
    actuator = open_actuator(settings)
    spec = definition_hash(settings.instance)

    def once(number: int) -> tuple[float, float]:
        began = time.monotonic()
        (result,) = actuator.start([StartOrder(f"{APP}{number}", "local", spec, settings.instance)])
        assert isinstance(result, Started), result
        started = time.monotonic()
        until_ready(result.url)
        return started - began, time.monotonic() - began

    return once


def by_docker_run(engine: Engine, fleet: str) -> Callable[[int], tuple[float, float]]:
    def docker(*words: str) -> str:
        ran = subprocess.run(["docker", "--host", engine.address, *words], capture_output=True, text=True, check=True)
        return ran.stdout.strip()

    def once(number: int) -> tuple[float, float]:
        name = f"{APP}{number}"
        began = time.monotonic()
        docker(
            *("run", "--detach", "--name", name, "--label", f"stoker.fleet={fleet}", "--env", f"BOOT_S={BOOT_S}"),
            *("--publish", "127.0.0.1::3000", engine.image),
        )
        address = docker("port", name, "3000/tcp").splitlines()[0]
        started = time.monotonic()
        until_ready(f"http://{address}")
        return started - began, time.monotonic() - began

    return once


def main() -> None:
    with using_engine() as engine, tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            fleet=APP,
            app=APP,
            state_dir=Path(folder),
            instance={"image": engine.image, "env": {"BOOT_S": str(BOOT_S)}},
            actuator={"kind": "docker", "docker_host": engine.address},
        )
        ways = {"actuator": by_actuator(settings), "docker run": by_docker_run(engine, APP)}
        times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for run in range(RUNS):
            for offset, (way, once) in enumerate(ways.items()):
                times[way].append(once(2 * run + offset + 1))
                engine.remove_fleet(APP)
    print(f"{machine()}; {RUNS} runs each")
    totals = {way: statistics.median(total for _, total in pairs) for way, pairs in times.items()}
    for way, pairs in times.items():
        started = statistics.median(one for one, _ in pairs)
        worst = max(total for _, total in pairs)
        print(f"{way:10}  started {started:.3f} s, first 200 {totals[way]:.3f} s (median), {worst:.3f} s (worst)")
    print(f"actuator / docker run: {totals['actuator'] / totals['docker run']:.2f}; the app boots for {BOOT_S} s of it")


if __name__ == "__main__":
    main()
