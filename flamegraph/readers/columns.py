"""Recover stacks from drawn rectangles: where a picture is all that a tool kept, a column is a sample.

Rectangles of neighbours are joined without regard to what lies under them, so a rectangle may span two parents:
only the column says who called whom.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flamegraph.profile import ProfileError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Rect:
    """A frame drawn from column `x` on for `width` columns, in row `y`, the root's row being the lowest number."""

    x: int
    y: int
    width: int
    frame: int


def stacks_of(rects: Sequence[Rect]) -> tuple[list[tuple[int, ...]], list[int], list[int]]:
    """The different stacks, and for each run of equal columns its stack and how many columns it has."""
    for at, rect in enumerate(rects):
        if rect.width < 1 or rect.x < 0 or rect.y < 0:
            raise ProfileError(f"rectangle {at}: x {rect.x}, y {rect.y}, width {rect.width}, which cannot be drawn")
    rows: dict[int, list[Rect]] = {}
    for rect in sorted(rects, key=lambda rect: rect.x):
        rows.setdefault(rect.y, []).append(rect)
    levels = [(row, [rect.x for rect in row]) for _, row in sorted(rows.items())]
    edges = sorted({edge for rect in rects for edge in (rect.x, rect.x + rect.width)})
    index: dict[tuple[int, ...], int] = {}
    order: list[int] = []
    widths: list[int] = []
    for left, right in itertools.pairwise(edges):
        stack = tuple(_column(levels, left))
        if not stack:
            continue
        at = index.setdefault(stack, len(index))
        if order and order[-1] == at:
            widths[-1] += right - left
        else:
            order.append(at)
            widths.append(right - left)
    return list(index), order, widths


def _column(levels: Sequence[tuple[Sequence[Rect], Sequence[int]]], x: int) -> list[int]:
    found = []
    for row, lefts in levels:
        rect = row[bisect_right(lefts, x) - 1]
        if rect.x <= x < rect.x + rect.width:
            found.append(rect.frame)
    return found
