"""Draws the pictures of docs/flamegraph.md from the recordings beside them: `python -m tests.flamegraph.pictures`."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import flamegraph
from flamegraph.diff import render_diff
from flamegraph.options import LAYOUTS, RenderOptions
from flamegraph.svg import render
from tests.flamegraph.chromium import Page, opened, running

if TYPE_CHECKING:
    from flamegraph.profile import Profile

PICTURES = Path(__file__).parents[2] / "docs/pictures"
WIDTH = 880


def drawings(before: Profile, after: Profile) -> dict[str, str]:
    """What is shown, by the name of the picture's file."""
    drawn: dict[str, str] = {}
    for layout in LAYOUTS:
        percent = 0.8 if layout == "reversed" else RenderOptions().min_percent
        options = RenderOptions(title="A small shop", layout=layout, min_percent=percent)
        drawn[layout] = render(before, options)
    drawn["diff"] = render_diff(before, after, RenderOptions(title="A small shop, before and after", normalize=True))
    drawn["search"] = drawn["flame"]
    return drawn


async def take(page: Page, name: str, svg: str) -> None:
    """Load a drawing and save what a person would see of it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "drawing.svg"
        file.write_text(svg, encoding="utf-8")
        await page.size(WIDTH, 400)
        await page.media(prefers_color_scheme="dark" if name == "search" else "light")
        await page.open(f"file://{file}")
        height = await page.run("document.documentElement.getBoundingClientRect().height")
        await page.size(WIDTH, min(int(height), 900))
        if name == "search":
            await page.press("/")
            await page.type("json")
        await page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        await page.picture(PICTURES / f"{name}.png")


async def main() -> None:
    """Take every picture."""
    before, after = (flamegraph.read(PICTURES / f"shop_{when}.json.gz") for when in ("before", "after"))
    with running() as devtools:
        async with opened(devtools) as page:
            for name, svg in drawings(before, after).items():
                await take(page, name, svg)


if __name__ == "__main__":
    asyncio.run(main())
