"""Takes the pictures of docs/web.md: `python -m tests.stoker.web.pictures [ADDRESS]`.

The bad moment is staged. With the address of a running fleet's page its good moments are taken too.
"""

from __future__ import annotations

import asyncio
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.backend import Phase
from fleet.crash import Capture
from fleet.settings import load
from tests.contracts.crashes import failure
from tests.flamegraph.chromium import opened, running
from tests.stoker.web.rig import Staged, backend, happening, served

if TYPE_CHECKING:
    from stoker.web.board import Board
    from tests.flamegraph.chromium import Page

PICTURES = Path(__file__).parents[3] / "docs/pictures"


async def take(page: Page, address: str, name: str, scheme: str, width: int, height: int) -> None:
    """What a person sees a moment after opening it."""
    await page.size(width, height)
    await page.media(prefers_color_scheme=scheme)
    await page.open(address)
    await page.run("new Promise((done) => setTimeout(done, 4500))")
    await page.picture(PICTURES / f"{name}.png")


def remember(board: Board, now: float) -> None:
    """Ten minutes in which the load grew and then the app broke."""
    for second in range(600):
        load_rps = 22 + 12 * math.sin(second / 90) + 2 * math.sin(second / 7) + max(0, second - 500) * 0.23
        errors = 0.0 if second < 555 else 3.4 + math.sin(second / 3)
        held = 0 if second < 570 else min(9, second - 570)
        desired = max(2, round(load_rps / 10 + 0.4))
        serving = min(desired, 5)
        board.samples.append([round(now - 600 + second, 1), load_rps, errors, 12, held, serving, desired])


async def stage(staged: Staged) -> None:
    """The bad moment itself."""
    phases = {6: Phase.FAILED, 7: Phase.WARMING, 8: Phase.STARTING}
    instances = [
        backend(number, phases.get(number, Phase.SERVING), host="alpha" if number % 2 else "beta")
        for number in range(1, 9)
    ]
    generation = staged.publish(
        instances,
        happening("decision", "4", "6", "48.1 rps at target 10", "panic: 4 s need 5.7, 4 serving"),
        happening("deploy", "1.4", "1.5", "5 of 5 serve it"),
        happening("instance", "warming", "serving", "ready after 2.1 s", subject="production5"),
        happening("fault", "", "failing", "3 probes in a row: 500", subject="production6"),
        happening("decision", "6", "7", "one more while production6 is replaced"),
        desired=7,
        reasons=("52.3 rps at target 10", "panic until 60 s without a burst"),
    )
    for number, (name, message) in enumerate(
        (("NoMethodError", "undefined method `price' for nil"), ("ActiveRecord::StatementInvalid", "PG::Deadlock"))
    ):
        crash_id = f"c{number}"
        found = failure(crash_id, at=staged.store.clock() - 9 * number, path="/orders/1042", duration_ms=212.0)
        await staged.crashes.failed([found])
        capture = Capture(crash_id, name, message, "app/models/order.rb:12:in share", profiled=True)
        await staged.crashes.captured(capture, b"")
    await staged.report(generation, arrivals=4000, held=9, in_flight=21)


async def main(address: str) -> None:
    """Take every picture."""
    staged = Staged(rps=52)
    await stage(staged)
    with running() as devtools:
        async with opened(devtools) as page:
            if address:
                await take(page, address, "web", "light", 1280, 1000)
                await take(page, address, "web-phone", "dark", 390, 900)
            async with served(load(None, fleet="shop", app="production"), staged) as found:
                remember(found.board, staged.store.clock())
                await take(page, f"{found.address}/", "web-trouble", "light", 1000, 1150)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else ""))
