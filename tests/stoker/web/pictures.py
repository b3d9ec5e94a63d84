"""Takes the pictures of docs/web.md, of a staged fleet: `python -m tests.stoker.web.pictures`."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
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


def remember(board: Board, now: float, *, trouble: bool) -> None:
    """Ten minutes in which the load grew, and in which the app broke at the end."""
    for second in range(600):
        late = trouble and second > 500
        load_rps = 24 + 13 * math.sin(second / 90) + 2 * math.sin(second / 7) + 1.5 * math.sin(second * 2.1)
        load_rps += (second - 500) * 0.23 if late else max(0, second - 300) * 0.06
        errors = 2 + math.sin(second / 3) if late and second > 555 else 0.0
        held = min(9, second - 570) if late and second > 570 else 0
        desired = 2 + sum(second > at for at in (60, 420, 470)) + (late and second > 590) * 2
        if trouble:
            desired -= second > 230
        board.samples.append([round(now - 600 + second, 1), load_rps, errors, 12, held, min(desired, 5), desired])


async def calm(staged: Staged) -> None:
    """All is well."""
    at = staged.store.clock()
    told = [
        replace(happening("decision", before, after, *reasons), at=at - ago)
        for ago, before, after, *reasons in (
            (540, "2", "3", "21.4 rps at target 10"),
            (180, "3", "4", "38.2 rps at target 10", "panic: 4 s need 4.2, 3 serving"),
            (130, "4", "5", "44.7 rps at target 10"),
        )
    ]
    hosts = ("alpha", "beta", "alpha", "beta", "alpha")
    instances = [backend(number, host=host) for number, host in enumerate(hosts, 1)]
    generation = staged.publish(instances, *told, reasons=("45.9 rps at target 10",))
    await staged.report(generation, arrivals=4000, in_flight=8)


async def broken(staged: Staged) -> None:
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


async def main() -> None:
    """Take every picture."""
    settings = load(None, fleet="shop", app="production")
    with running() as devtools:
        async with opened(devtools) as page:
            well, trouble = Staged(rps=46), Staged(rps=52, failing=1)
            await calm(well)
            async with served(settings, well) as found:
                remember(found.board, well.store.clock(), trouble=False)
                await take(page, f"{found.address}/", "web", "light", 1280, 1000)
                await take(page, f"{found.address}/", "web-phone", "dark", 390, 900)
            await broken(trouble)
            async with served(settings, trouble) as found:
                remember(found.board, trouble.store.clock(), trouble=True)
                await take(page, f"{found.address}/", "web-trouble", "light", 1000, 1150)


if __name__ == "__main__":
    asyncio.run(main())
