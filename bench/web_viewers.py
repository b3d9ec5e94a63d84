"""What viewers of the page cost its server, by processor time.

    python -m bench.web_viewers [--viewers 100] [--seconds 15]

A real Valkey, a proxy that reports every 500 ms (each instance's requests in flight are others each time), a scaler
that publishes a change every 2 s; `stoker web` in a process of its own; viewers that read their streams and throw them
away. By turns without viewers and with them, for a small fleet and for one of 1,000 instances.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from contextlib import suppress
from pathlib import Path

from bench.machine import machine
from bench.web_fleet import Page, Pretender, stoker_web
from fleet.embedded import EmbeddedValkey
from fleet.settings import load
from tests.valkey import free_port

ASK = b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n"
ROUNDS = 3
LIMIT = 0.10


async def view(port: int, read: list[int]) -> None:
    """One viewer, until it is cancelled."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ASK)
    try:
        while piece := await reader.read(1 << 16):
            read[0] += len(piece)
    finally:
        writer.close()


async def cost(page: Page, viewers: int, seconds: float) -> tuple[float, float]:
    """Cores used by the server, and kilobytes a second that each viewer was sent."""
    read = [0]
    tasks = [asyncio.ensure_future(view(page.port, read)) for _ in range(viewers)]
    await asyncio.sleep(3)
    before, sent = page.cpu_s(), read[0]
    await asyncio.sleep(seconds)
    used, told = (page.cpu_s() - before) / seconds, (read[0] - sent) / seconds / max(1, viewers) / 1000
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return used, told


async def measure(backends: int, viewers: int, seconds: float) -> None:
    """One size of fleet."""
    with tempfile.TemporaryDirectory(prefix="stoker-") as folder, EmbeddedValkey(Path(folder)) as server:
        settings = load(None, fleet="bench", app="web", redis_url=server.url, state_dir=folder)
        pretender = Pretender(settings, backends)
        pretender.publish()
        life = asyncio.ensure_future(pretender.run())
        found: dict[int, list[tuple[float, float]]] = {0: [], 1: [], viewers: []}
        async with stoker_web(settings, free_port()) as page:
            for _ in range(ROUNDS):
                for many, results in found.items():
                    results.append(await cost(page, many, seconds))
        life.cancel()
        with suppress(asyncio.CancelledError):
            await life
    for many, results in found.items():
        cores = [used for used, _ in results]
        print(
            f"{backends:5d} instances, {many:3d} viewers: {statistics.median(cores):6.2%} of a core"
            f" ({min(cores):.2%} to {max(cores):.2%}), {statistics.median(told for _, told in results):.1f} kB/s each"
        )
    alone, all_of_them = (statistics.median(used for used, _ in found[many]) for many in (0, viewers))
    print(f"      the viewers' own part {all_of_them - alone:.2%}; limit {LIMIT:.0%}")


async def main() -> None:
    """Both sizes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--viewers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--backends", type=int, nargs="*", default=[10, 1000])
    chosen = parser.parse_args()
    print(machine())
    for backends in chosen.backends:
        await measure(backends, chosen.viewers, chosen.seconds)


if __name__ == "__main__":
    asyncio.run(main())
