"""Draws the pictures of docs/crashes.md from the recorded crashes: `python -m tests.flamegraph.crash_pictures`."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import flamegraph
from flamegraph.crash_top import top
from flamegraph.options import RenderOptions
from flamegraph.svg import render
from tests.flamegraph.chromium import opened, running
from tests.flamegraph.crash_documents import RECORDED, recorded
from tests.flamegraph.pictures import PICTURES, WIDTH

if TYPE_CHECKING:
    from tests.flamegraph.chromium import Page

HEIGHT = 620


def drawings() -> dict[str, str]:
    """What is shown, by the name of the picture's file."""
    names = {"crash": "wall_invoice", "crash_late": "wall_late", "crash_overflow": "wall_overflow"}
    drawn = {name: flamegraph.render(flamegraph.read(recorded(of)), width=WIDTH) for name, of in names.items()}
    kept = [recorded(name) for name in RECORDED if name.startswith("wall_") and name != "wall_deep"]
    drawn["crash_top"] = render(top(kept, "Crashes in the last 1h"), RenderOptions(width=WIDTH))
    return drawn


async def take(page: Page, name: str, svg: str) -> None:
    """Load a drawing and save what a person would see of it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "drawing.svg"
        file.write_text(svg, encoding="utf-8")
        await page.size(WIDTH, HEIGHT)
        await page.media(prefers_color_scheme="light")
        await page.open(f"file://{file}")
        await page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        await page.picture(PICTURES / f"{name}.png")


async def main() -> None:
    """Take every picture."""
    with running() as devtools:
        async with opened(devtools) as page:
            for name, svg in drawings().items():
                await take(page, name, svg)


if __name__ == "__main__":
    asyncio.run(main())
