"""What a tick costs the scaler with 1,000 backends and 50 proxies in a real Valkey.

    python -m bench.scaler_tick [--backends 1000] [--proxies 50] [--seconds 20]

Three processes: an embedded Valkey, the proxies (each writes its counters, those by backend too, every 500 ms, and
follows the published generation), and the scaler: the live world with its real probes against one small HTTP server,
an actuator that only pretends, the trace written to a file. Two spans are measured: a steady fleet, and one in which
ten backends drain. A tick is from the look at the store to the last effect performed. The tick that chooses whom to
drain, which reads the counters in detail, is told by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.machine import machine
from fleet.backend import Backend, Phase
from fleet.clock import Clock
from fleet.embedded import EmbeddedValkey
from fleet.registry import BackendCounters, Change, Order, OrderKind, ProxyReading, Summary
from fleet.settings import LifeSettings, PolicySettings, Settings, load
from fleet.store.opening import open_desk, open_noticeboard, open_registry
from scaler.actuators.probe import Prober, probe_once
from scaler.definitions import Definitions
from scaler.driver import drive
from scaler.hands import Hands
from scaler.inbox import Ending, Inbox
from scaler.live import Live
from scaler.messages import Look
from scaler.shadow import ShadowActuator
from scaler.state import Policy, State
from scaler.trace import TraceFile

if TYPE_CHECKING:
    from scaler.messages import Effect, Event
    from scaler.turn import Step

SPEC = "spec"
DRAINING = 10
WARM_UP_S = 8.0
P99_LIMIT_MS, CORE_LIMIT = 50.0, 0.05
ANSWER = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


class Timed(Live):
    """The live world with a stopwatch around each look and what follows from it.

    `choices` are the ticks that had to read the counters in detail, which chooses whom to drain.
    """

    ticks: list[tuple[float, float]]
    choices: list[float]
    _began: tuple[float, float] | None = None
    _chosen: bool = False

    def next_event(self) -> Event | None:
        """A tick is over when the loop waits for the next event."""
        if self._began is not None and not self._soon:
            wall, cpu = self._began
            took_ms = (time.perf_counter() - wall) * 1000
            self.ticks.append((took_ms, (time.thread_time() - cpu) * 1000))
            if self._chosen:
                self.choices.append(took_ms)
            self._began, self._chosen = None, False
        return super().next_event()

    def perform(self, effect: Effect) -> None:
        """Note what asks for detail."""
        self._chosen = self._chosen or isinstance(effect, Look)
        super().perform(effect)

    def _look(self) -> Event | None:
        self._began = time.perf_counter(), time.thread_time()
        return super()._look()


def run_scaler(settings: Settings, backends: int, seconds: float) -> None:
    """The scaler's process: measures both spans and prints them as JSON."""
    clock, store = Clock(), open_registry(settings)
    snapshot = store.recall().snapshot
    assert snapshot is not None
    hand = ShadowActuator(clock.now)
    hand.adopt(snapshot)
    inbox = Inbox(clock.now)
    hands = Hands(
        hand,
        Definitions(settings.instance, SPEC),
        lambda urls: probe_once(urls, "/up", 2.0),
        inbox.answer,
        clock.now,
        4,
    )
    sizes = PolicySettings(min=backends - DRAINING, max=2 * backends)
    policy = Policy(settings.app, SPEC, sizes, LifeSettings(drain_timeout_s=600.0))
    world = Timed("bench", store, hands, Prober("/up", 2.0, inbox.probed), inbox, clock.now, 1.0)
    world.ticks, world.choices = [], []
    trace = TraceFile(settings.state_path / "scaler.trace", policy, State(), settings.trace_size)
    spans: list[dict[str, object]] = []
    begun = [time.monotonic(), time.process_time()]

    def watch(event: Event, taken: Step) -> None:
        """Trace; cut the run into warm-up, steady, warm-up, draining; then end it."""
        trace(event, taken)
        wait_s = WARM_UP_S if len(spans) % 2 == 0 else seconds
        if time.monotonic() - begun[0] < wait_s or not taken.state.adopted:
            return
        phases = {one.phase for one in taken.state.instances.values()}
        cpu_s, span_s = time.process_time() - begun[1], time.monotonic() - begun[0]
        spans.append({"ticks": world.ticks, "core": cpu_s / span_s, "draining": Phase.DRAINING in phases})
        world.ticks = []
        begun[:] = [time.monotonic(), time.process_time()]
        if len(spans) == 2:
            open_desk(settings).place(Order(OrderKind.SCALE, backends - DRAINING))
        if len(spans) == 4:
            inbox.end(Ending.LEAVE)

    world.start()
    try:
        drive(policy, State(), world, watch)
    finally:
        world.close()
        trace.close()
    print(json.dumps({"spans": [spans[1], spans[3]], "choices": world.choices}))


async def run_proxies(settings: Settings, backends: int, proxies: int) -> None:
    """The proxies' process: writes until it is killed. Also answers the scaler's probes, on the port that it prints."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(ANSWER)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    boards = [open_noticeboard(settings) for _ in range(proxies)]
    names = [f"web{number}" for number in range(1, backends + 1)]

    async def proxy(number: int) -> None:
        began = time.monotonic()
        await asyncio.sleep(number * 0.5 / proxies)
        for look in range(10**9):
            snapshot = await boards[0].snapshot() if number == 0 or look % 2 == 0 else None
            if snapshot is not None and snapshot.generation != applied[number]:
                applied[number] = snapshot.generation
                leaving[number] = {one.name: 1 for one in snapshot.backends.values() if one.phase is Phase.DRAINING}
            counters = BackendCounters(arrivals=look * 5, in_flight=1, total_ms=12.5)
            await boards[number].report(
                ProxyReading(
                    f"proxy{number}",
                    "bench",
                    uptime_ms=round((time.monotonic() - began) * 1000),
                    generation=applied[number],
                    arrivals=look * 100,
                    completions=look * 100,
                    in_flight=backends,
                    leaving=leaving[number],
                    backends=dict.fromkeys(names, counters),
                )
            )
            await asyncio.sleep(0.5)

    applied, leaving = [0] * proxies, [dict[str, int]()] * proxies
    await asyncio.gather(*(proxy(number) for number in range(proxies)))


def seed(settings: Settings, backends: int, port: int) -> None:
    """A registry in which all serve, and a lease that was held once."""
    registry = open_registry(settings)
    lease = registry.acquire("seed")
    assert lease is not None
    url = f"http://127.0.0.1:{port}"
    entries = {
        f"web{number}": Backend(f"web{number}", Phase.SERVING, url, spec=SPEC) for number in range(1, backends + 1)
    }
    registry.publish(lease, Change(entries, backends, Summary("UP", backends)))
    registry.release(lease)
    registry.close()


def child(role: str, settings: Settings, chosen: argparse.Namespace) -> subprocess.Popen[str]:
    """This file again, in another role."""
    url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    sizes = ["--backends", str(chosen.backends), "--proxies", str(chosen.proxies), "--seconds", str(chosen.seconds)]
    argv = [
        sys.executable,
        "-m",
        "bench.scaler_tick",
        *sizes,
        "--role",
        role,
        "--url",
        url,
        "--folder",
        str(settings.state_dir),
    ]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def measure(chosen: argparse.Namespace) -> int:
    """Put the three processes up and print what the scaler found."""
    print(f"{chosen.backends} backends, {chosen.proxies} proxies; {machine()}")
    failed = 0
    with tempfile.TemporaryDirectory() as folder, EmbeddedValkey(Path(folder)) as valkey:
        settings = settings_of(valkey.url, folder)
        proxies = child("proxies", settings, chosen)
        try:
            assert proxies.stdout is not None
            seed(settings, chosen.backends, int(proxies.stdout.readline()))
            scaler = child("scaler", settings, chosen)
            told = scaler.communicate()[0]
            assert scaler.returncode == 0
        finally:
            proxies.kill()
            proxies.wait()
    found = json.loads(told.splitlines()[-1])
    for name, span in zip(("steady", "ten draining"), found["spans"], strict=True):
        (ticks, cpu), core = zip(*span["ticks"], strict=True), span["core"]
        assert span["draining"] == (name != "steady"), "the wrong span was measured"
        p99 = statistics.quantiles(ticks, n=100)[98]
        print(
            f"{name:13} {len(ticks):4} ticks: median {statistics.median(ticks):5.1f} ms, p99 {p99:5.1f} ms, "
            f"worst {max(ticks):5.1f} ms ({p99 / P99_LIMIT_MS:.2f} of {P99_LIMIT_MS:g}), "
            f"processor time: median {statistics.median(cpu):.1f}, worst {max(cpu):.1f} ms; "
            f"{core:6.2%} of a core ({core / CORE_LIMIT:.2f} of {CORE_LIMIT:.0%})"
        )
        failed |= int(p99 > P99_LIMIT_MS or core > CORE_LIMIT)
    print(f"the tick that chose whom to drain: {', '.join(f'{took_ms:.1f}' for took_ms in found['choices'])} ms")
    return failed


def settings_of(url: str, folder: str) -> Settings:
    """The settings that all three processes share."""
    return load(None, fleet="bench", app="web", redis_url=url, state_dir=folder)


def main() -> int:
    """Run in the role that was asked for."""
    parser = argparse.ArgumentParser(description="What a tick costs the scaler.")
    parser.add_argument("--backends", type=int, default=1000)
    parser.add_argument("--proxies", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each span")
    parser.add_argument("--role", choices=["bench", "proxies", "scaler"], default="bench")
    parser.add_argument("--url", default="")
    parser.add_argument("--folder", default="")
    chosen = parser.parse_args()
    match chosen.role:
        case "proxies":
            asyncio.run(run_proxies(settings_of(chosen.url, chosen.folder), chosen.backends, chosen.proxies))
        case "scaler":
            run_scaler(settings_of(chosen.url, chosen.folder), chosen.backends, chosen.seconds)
        case _:
            return measure(chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
