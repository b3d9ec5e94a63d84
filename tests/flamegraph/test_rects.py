"""The rectangles are those of flamegraph.pl and of inferno."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

import flamegraph
from tests.flamegraph.drawn import frames_of
from tests.flamegraph.profiles import SHARED, shared

if TYPE_CHECKING:
    from pathlib import Path

RECTS = sorted(path.name.removesuffix(".tsv.gz") for path in (SHARED / "rects").glob("*.tsv.gz")) or ["absent"]


def source(name: str) -> Path:
    for folder, end in (("folded/perf", ".txt"), ("folded", ".txt"), ("rails", ".oracle.folded")):
        path = SHARED / folder / f"{name.removesuffix('.reverse')}{end}"
        if path.exists():
            return path
    return shared(f"folded/{name}.txt")


@pytest.mark.parametrize("name", RECTS)
def test_the_rectangles_are_flamegraph_pls(name: str) -> None:
    lines = gzip.decompress(shared(f"rects/{name}.tsv.gz").read_bytes()).decode().splitlines()
    theirs = Counter((int(d), int(w), text) for d, w, text in (line.split("\t", 2) for line in lines))
    layout = "reversed" if name.endswith(".reverse") else "flame"

    svg = flamegraph.render(flamegraph.read(source(name)), layout=layout, min_percent=0)

    ours = Counter((drawn.depth, int(drawn.w), drawn.name) for drawn in frames_of(svg))
    assert theirs == ours


def test_the_rectangles_and_titles_are_infernos() -> None:
    text = shared("inferno/narrow-blocks/narrow-blocks.svg").read_text()
    found = re.findall(
        r'<title>(.*?)</title>\s*<rect x="[^"]*" y="(\d+)" width="[^"]*" height="15" [^>]*?fg:x="(\d+)" fg:w="(\d+)"',
        text,
    )
    base = max(int(y) for _, y, _, _ in found)
    theirs = {((base - int(y)) // 16, int(x), int(w), title) for title, y, x, w in found}

    svg = flamegraph.render(flamegraph.read(shared("inferno/narrow-blocks/narrow-blocks.txt")), min_percent=0.01)

    ours = {(drawn.depth, int(drawn.x), int(drawn.w), f"{drawn.name} ({drawn.said})") for drawn in frames_of(svg)}
    assert theirs == ours
