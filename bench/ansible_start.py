"""How long one play takes from the order of ten instances to the first 200 of the last, beside ten by Docker's API.

The app boots for 0.3 s before it listens. Must: 8 s or less for ten at once, on two processors. Processor time is that
of the caller and of the play, without the engine's.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.machine import machine
from fleet.settings import Settings
from scaler.actuators.actuator import Actuator, Started, StartOrder
from scaler.actuators.definition import definition_hash
from scaler.actuators.opening import open_actuator
from scaler.actuators.probe import probe_once
from scaler.messages import Outcome
from tests.engine import using_engine

RUNS = 5
INSTANCES = 10
BOOT_S = 0.3
PARALLEL_STARTS = 4
APP = "bench-ansible-start"


def until_all_ready(urls: dict[str, str]) -> None:
    while set(probe_once(urls, "/up", 1.0).values()) != {Outcome.READY}:
        pass


def processor_s() -> float:
    """What this process and those that it has waited for have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def ten(actuator: Actuator, settings: Settings, host: str, run: int) -> tuple[float, float, float, float]:
    """Seconds to the end of the orders, the processor's for them, to the last 200, and of the stop of all ten."""
    spec = definition_hash(settings.instance)
    names = [f"{APP}{INSTANCES * run + number}" for number in range(1, INSTANCES + 1)]
    orders = [StartOrder(name, host, spec, settings.instance) for name in names]
    began, used = time.monotonic(), processor_s()
    with ThreadPoolExecutor(PARALLEL_STARTS) as threads:
        batches = [orders] if actuator.batches else [[order] for order in orders]
        results = [result for batch in threads.map(actuator.start, batches) for result in batch]
    started, used = time.monotonic(), processor_s() - used
    urls = {result.name: result.url for result in results if isinstance(result, Started)}
    assert len(urls) == INSTANCES, results
    until_all_ready(urls)
    ready = time.monotonic()
    with ThreadPoolExecutor(INSTANCES) as threads:
        list(threads.map(lambda name: actuator.stop(name, host, 1.0), names))
    return started - began, used, ready - began, time.monotonic() - ready


def main() -> None:
    with using_engine() as engine, tempfile.TemporaryDirectory() as folder:
        inventory = Path(folder) / "inventory.yml"
        here = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "stoker_docker_host": engine.address,
        }
        inventory.write_text(json.dumps({"stoker": {"hosts": {"here": here}}}), encoding="utf-8")
        instance = {"image": engine.image, "env": {"BOOT_S": str(BOOT_S)}}
        kinds = {
            "ansible": ("here", {"kind": "ansible", "inventory": inventory}),
            "docker": ("local", {"kind": "docker", "docker_host": engine.address}),
        }
        times: dict[str, list[tuple[float, float, float, float]]] = {kind: [] for kind in kinds}
        for run in range(RUNS):
            for kind, (host, chosen) in kinds.items():
                settings = Settings(fleet=APP, app=APP, state_dir=Path(folder), instance=instance, actuator=chosen)
                times[kind].append(ten(open_actuator(settings), settings, host, run))
                engine.remove_fleet(APP)
    print(f"{machine()}; {RUNS} runs each")
    for kind, found in times.items():
        started, used, ready, stopped = (statistics.median(column) for column in zip(*found, strict=True))
        worst = max(one[2] for one in found)
        print(
            f"{kind:8} ten started {started:.2f} s (processor {used:.2f} s), "
            f"ten answer 200 {ready:.2f} s (worst {worst:.2f} s), ten stopped {stopped:.2f} s"
        )
    ratio = statistics.median(one[2] for one in times["ansible"]) / statistics.median(one[2] for one in times["docker"])
    print(f"ansible / docker: {ratio:.1f}")


if __name__ == "__main__":
    main()
