"""How long from the first request of a step, 10 to 200 rps on one instance, until the scaler decides to start more.

Proxy, store, scaler and app are those of `stoker up`, at the default windows and tick. Once at a target of 20 rps, once
at 100 rps with 5 in flight as the second signal. Each run is a new fleet. Usage: python -m bench.load_step [runs]
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
from typing import TYPE_CHECKING

from bench.machine import machine, spread
from fleet.clock import Clock
from fleet.settings import PolicySettings
from stoker.configured import sample_command
from stoker.demo.client import Client, Kind
from stoker.demo.load import Load
from stoker.demo.run import serving_desk
from stoker.demo.stage import stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet.store.desk import RedisDesk

BEFORE_S, AFTER_S = 8.0, 6.0
LOW_RPS, HIGH_RPS, APP_RPS = 10.0, 200.0, 100
MEDIAN_S, WORST_S = 1.5, 2.5
WINDOWS = {
    name: PolicySettings.model_fields[name].default for name in ("stable_window_s", "panic_window_s", "stabilisation_s")
}
SETTINGS: Mapping[str, Mapping[str, object]] = {
    "target 20 rps": {"target_rps": 20.0, "max": 10},
    "target 100 rps and 5 in flight": {"target_rps": 100.0, "target_in_flight": 5.0, "max": 10},
}


def measure(policy: Mapping[str, object]) -> float:
    """Seconds from the step's first request to the decision, in one new fleet."""
    command = [*sample_command(), "--rate", str(APP_RPS)]
    with stage("process", policy={**WINDOWS, **policy}, instance={"command": command}) as found:
        proxy = found.settings.proxy
        desk = asyncio.run(serving_desk(found))
        load = Load(Client(proxy.listen_address, proxy.listen_port), Clock().now, [Kind.KEPT])
        return asyncio.run(_step(load, desk))


async def _step(load: Load, desk: RedisDesk) -> float:
    before_s = BEFORE_S + random.random()  # so that the step falls anywhere between two ticks
    started_at = load.now()
    sending = asyncio.ensure_future(
        load.run(lambda moment: LOW_RPS if moment < before_s else HIGH_RPS, before_s + AFTER_S)
    )
    decided_at: float | None = None
    while decided_at is None and not sending.done():
        await asyncio.wait([sending], timeout=0.2)
        history = await asyncio.to_thread(desk.history, "", wait_s=0)
        decisions = [
            one.at for _, one in history if one.kind == "decision" and int(one.after) > max(1, int(one.before))
        ]
        decided_at = decisions[0] if decisions else None
    sending.cancel()
    await asyncio.wait([sending])
    assert decided_at is not None, "no decision came"
    return decided_at - min(one.sent_at for one in load.ended if one.sent_at >= started_at + before_s)


def main(runs: int) -> int:
    print(machine())
    missed = 0
    found: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for _ in range(runs):
        for name, policy in SETTINGS.items():
            found[name].append(measure(policy))
    for name, values in found.items():
        good = statistics.median(values) <= MEDIAN_S and max(values) <= WORST_S
        missed += not good
        print(
            f"{name}: {spread(values, 's')}; must be median {MEDIAN_S} and worst {WORST_S}: {'yes' if good else 'NO'}"
        )
    return missed


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
