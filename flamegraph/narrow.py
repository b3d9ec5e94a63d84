"""The table of the frames too narrow to draw, which search and zoom read in the browser.

An entry is one line, `name,depth,place,weight`, a parent before its children; depth and place are differences to the
entry before. A name is a number: first those of the drawn frames in the order of the picture, from 1, then those of the
table's own list, each after a line feed. Left out are: the name where it is the own list's next one, a depth of 1 more,
a place as before, a weight as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from flamegraph.text import displayed, escape, plain
from flamegraph.tree import by_weight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flamegraph.layout import Picture
    from flamegraph.tree import Span

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
    spans = list(picture.narrow)
    while True:
        table = _write(picture, spans)
        size = len(table.entries) + len(table.names.encode())
        if size <= limit_bytes:
            return table
        spans = sorted(spans, key=by_weight)[: int(len(spans) * limit_bytes / size * 0.98)]
        spans.sort(key=itemgetter(1, 0))


def _write(picture: Picture, spans: Sequence[Span]) -> Table:
    if not picture.narrow:
        return Table("", "", 0, picture.forgotten)
    # The browser knows names as the drawing shows them, so equal ones are one.
    shown = [escape(displayed(frame.name)) for frame in picture.frames]
    known: dict[str, int] = {}
    for span in picture.spans:
        known.setdefault(shown[span[3]], len(known) + 1)
    drawn = len(known)
    entries = []
    last_x: int | float = 0
    last_depth = 0
    last_weight: int | float = 0
    for depth, x, weight, frame, _ in spans:
        count = len(known)
        name = known.setdefault(shown[frame], count + 1)
        parts = (
            "" if name > count else str(name),
            "" if depth == last_depth + 1 else str(depth - last_depth),
            "" if x == last_x else plain(x - last_x),
            "" if weight == last_weight else plain(weight),
        )
        entries.append(",".join(parts).rstrip(","))
        last_x, last_depth, last_weight = x, depth, weight
    names = "".join(f"\n{name}" for name in list(known)[drawn:])
    missing = picture.forgotten + len(picture.narrow) - len(spans)
    return Table("\n".join(entries), names, len(spans), missing)
