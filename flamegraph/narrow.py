"""The table of the frames too narrow to draw, which search and zoom read in the browser.

An entry is one line, `place depth weight name`, a parent before its children; place and depth are differences to the
entry before. Names are numbers from 1: first those of the drawn frames in the order of the picture, then those of the
table's own list, one a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flamegraph.text import escape, plain

if TYPE_CHECKING:
    from flamegraph.layout import Picture

LIMIT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Table:
    """The table's two texts, ready for an SVG, how many frames they hold and how many found no room."""

    entries: str
    names: str
    kept: int
    missing: int


def tabulate(picture: Picture, limit_bytes: int = LIMIT_BYTES) -> Table:
    """Write down as many of the narrow frames as fit, the heavier ones first."""
    spans = picture.narrow
    level: int | float = 0
    while True:
        table = _write(picture, level)
        if len(table.entries) + len(table.names.encode()) <= limit_bytes or not table.kept:
            return table
        weights = sorted(span[2] for span in spans if span[2] > level)
        level = weights[len(weights) // 2]


def _write(picture: Picture, level: float) -> Table:
    known: dict[str, int] = {}
    for span in picture.spans:
        known.setdefault(picture.frames[span[3]].name, len(known) + 1)
    drawn = len(known)
    entries = []
    last_x: int | float = 0
    last_depth = 0
    for depth, x, weight, frame, _ in picture.narrow:
        if weight <= level:
            continue
        name = known.setdefault(picture.frames[frame].name, len(known) + 1)
        entries.append(f"{plain(x - last_x)} {depth - last_depth} {plain(weight)} {name}")
        last_x, last_depth = x, depth
    names = "\n".join(escape(name) for name in list(known)[drawn:])
    missing = picture.forgotten + len(picture.narrow) - len(entries)
    return Table("\n".join(entries), names, len(entries), missing)
