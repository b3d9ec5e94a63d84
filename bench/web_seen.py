"""How soon a change in Redis is seen in a browser, and how the page of 1,000 instances is drawn and scrolled.

    python -m bench.web_seen [--times 40]

A real Valkey, a proxy that reports every 500 ms, `stoker web` in a process of its own, headless Chromium, which draws
by the processor alone. A change is timed from before it is written to the frame after the one that shows it: an
instance's weight (a publication), a decision (the history), and requests held (a proxy's counters, which nothing
announces). Scrolling: the times between frames of a scroll over the whole table while everything goes on changing.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench.machine import machine
from bench.web_fleet import Pretender, stoker_web
from fleet.embedded import EmbeddedValkey
from fleet.settings import load
from fleet.store.opening import open_noticeboard
from tests.flamegraph.chromium import opened, running
from tests.valkey import free_port

if TYPE_CHECKING:
    from tests.flamegraph.chromium import Page

LIMIT_S = 0.5
WATCH = """void (window.seen = new Promise((done) => {
  const look = () => {
    const node = document.querySelector('%s');
    if (!node || node.textContent !== '%s') return;
    watching.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => done(Date.now() / 1000)));
  };
  const watching = new MutationObserver(look);
  watching.observe(document.body, { subtree: true, childList: true, characterData: true });
  look();
}))"""
SCROLL = """(async () => {
  const table = document.getElementById('table'), times = [];
  table.scrollTop = 0;
  let last = 0;
  while (table.scrollTop + table.clientHeight < table.scrollHeight - 1) {
    const at = await new Promise(requestAnimationFrame);
    if (last) times.push(at - last);
    last = at;
    table.scrollTop += 120;
  }
  return times;
})()"""
DRAWN = """new Promise((done) => {
  const look = () => document.querySelectorAll('.backend').length >= %d
    ? requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))) : setTimeout(look, 5);
  look();
})"""


async def latencies(page: Page, pretender: Pretender, times: int) -> dict[str, list[float]]:
    """Seconds from the write to the frame, by what was written."""
    board = open_noticeboard(pretender.settings)
    found: dict[str, list[float]] = {"a publication": [], "a decision": [], "a proxy's counters": []}
    for turn in range(times):
        for kind, taken in found.items():
            await asyncio.sleep(random.uniform(0.2, 0.9))
            match kind:
                case "a publication":
                    await watch(page, ".group[data-phase=serving] .backend :nth-child(5)", str(turn + 1))
                    began = time.time()  # noqa: TID251  # the browser's clock is the wall's
                    await asyncio.to_thread(pretender.publish, None, turn + 1)
                case "a decision":
                    known = next(pretender.changes)
                    await watch(page, "#events li div", f"Desired 1 → {known + 1}31.0 rps at target 10panic")
                    began = time.time()  # noqa: TID251
                    await asyncio.to_thread(pretender.publish, None, turn + 1)
                case _:
                    pretender.held = turn + 1
                    await watch(page, "#held", str(turn + 1))
                    began = time.time()  # noqa: TID251
                    await board.report(pretender.reading(10_000 + turn, 10_000.0 + turn))
            taken.append(await page.run("window.seen") - began)
    await board.aclose()
    return found


async def watch(page: Page, place: str, text: str) -> None:
    """Begin to wait for that text at that place."""
    await page.run(WATCH.replace("%s", place, 1).replace("%s", text, 1))


async def main() -> None:
    """Latencies with ten instances, drawing and scrolling with a thousand."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=40)
    chosen = parser.parse_args()
    print(machine())
    for backends in (10, 1000):
        with tempfile.TemporaryDirectory(prefix="stoker-") as folder, EmbeddedValkey(Path(folder)) as server:
            settings = load(None, fleet="bench", app="web", redis_url=server.url, state_dir=folder)
            pretender = Pretender(settings, backends)
            pretender.publish()
            life = asyncio.ensure_future(pretender.run(changing=False))
            async with stoker_web(settings, free_port()) as web:
                with running() as devtools:
                    async with opened(devtools, 1280, 900) as page:
                        await page.open(f"http://127.0.0.1:{web.port}/")
                        print(f"{backends} instances drawn {await page.run(DRAWN % backends):.0f} ms after the request")
                        for kind, taken in (await latencies(page, pretender, chosen.times)).items():
                            tell(f"{backends} instances: {kind} is seen after", taken, LIMIT_S)
                        if backends == 1000:
                            times = [one / 1000 for one in await page.run(SCROLL)]
                            tell("between frames of a scroll", times, 0.05)
            life.cancel()
            with suppress(asyncio.CancelledError):
                await life


def tell(what: str, taken: list[float], limit_s: float) -> None:
    """Print a distribution in milliseconds."""
    ordered = sorted(1000 * one for one in taken)
    print(
        f"  {what}: median {statistics.median(ordered):.0f} ms, 95 % {ordered[int(0.95 * len(ordered))]:.0f} ms,"
        f" worst {ordered[-1]:.0f} ms of {len(ordered)}; limit {1000 * limit_s:.0f} ms"
    )


if __name__ == "__main__":
    asyncio.run(main())
