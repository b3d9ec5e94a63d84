"""How long from a click or a letter to the next frame on the screen? A drawing in headless Chromium, medians of 5."""

from __future__ import annotations

import argparse
import asyncio
import platform
import statistics
import tempfile
from pathlib import Path

import flamegraph
from tests.flamegraph.chromium import Page, opened, running

WALL = Path(__file__).parents[2] / "shared/profiles/rails/stackprof_wall_raw.dump"
RUNS = 5

# The message comes after the frame that the change led to was painted.
PAINTED = """
const painted = (change) => new Promise((done) => {
  const start = performance.now();
  change();
  requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => done(performance.now() - start);
    port2.postMessage(0);
  });
});
const frames = [...document.querySelectorAll('#frames > g')];
const widest = (share) => frames.reduce((best, g) => {
  const off = (one) => Math.abs(one.node.w - share * frames[0].node.w);
  return off(g) < off(best) ? g : best;
});
const click = (g) => g.dispatchEvent(new MouseEvent('click', { bubbles: true }));
const type = (text) => {
  const input = document.querySelector('#dock input');
  input.value = text;
  input.dispatchEvent(new Event('input'));
};
"""
ACTIONS = {
    "zoom to half": "click(widest(0.5))",
    "zoom to a tenth": "click(widest(0.1))",
    "zoom to a hundredth": "click(widest(0.01))",
    "reset": "click(frames[0])",
    "search a letter": "type('a')",
    "search a word": "type('ActiveRecord')",
    "search a regexp": "type('/#(call|run)/')",
    "clear the search": "type('')",
    "filter by a group": "document.querySelector('.row').dispatchEvent(new MouseEvent('click', { bubbles: true }))",
}


async def measure(page: Page) -> dict[str, list[float]]:
    await page.run(f"(() => {{ {PAINTED} Object.assign(window, {{ painted, frames, widest, click, type }}); }})()")
    taken: dict[str, list[float]] = {name: [] for name in ACTIONS}
    for _ in range(RUNS):
        for name, action in ACTIONS.items():
            taken[name].append(await page.run(f"painted(() => {{ {action} }})"))
    return taken


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profile", nargs="?", type=Path, default=WALL)
    parser.add_argument("--layout", default="flame")
    args = parser.parse_args()
    svg = flamegraph.render(flamegraph.read(args.profile), layout=args.layout)
    with tempfile.TemporaryDirectory() as folder, running() as devtools:
        file = Path(folder) / "drawing.svg"
        file.write_text(svg, encoding="utf-8")
        async with opened(devtools, 1400, 900) as page:
            await page.open(f"file://{file}")
            loaded = await page.run("performance.getEntriesByType('navigation')[0].duration")
            taken = await measure(page)
    print(f"{platform.system()} {platform.machine()}, {args.profile.name}, {args.layout}, {svg.count('fg:x=')} frames")
    print(f"{'load':20} {loaded:7.1f} ms")
    for name, times in taken.items():
        print(f"{name:20} {statistics.median(times):7.1f} ms   slowest {max(times):.1f} ms")


if __name__ == "__main__":
    asyncio.run(main())
