"""Small charts of block characters: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

EIGHTHS = " ▁▂▃▄▅▆▇█"


def columns(points: Sequence[tuple[float, float]], seconds: float, width: int) -> list[float | None]:
    """The value at the end of each of `width` equal parts of the time; None where nothing was seen yet.

    `points` are (moment, value), by moment; a value holds until the next one.
    """
    found: list[float | None] = []
    index, value = 0, None
    last = points[-1][0] if points else -1.0
    for column in range(width):
        end = (column + 1) * seconds / width
        while index < len(points) and points[index][0] <= end:
            value = points[index][1]
            index += 1
        found.append(value if end - seconds / width <= last else None)
    return found


def area(values: Sequence[float | None], top: float, rows: int) -> list[str]:
    """The rows of a filled chart, the highest first; `top` is the value that fills them all."""
    filled = [0 if value is None else round(8 * rows * min(max(value, 0.0), top) / top) for value in values]
    lowest = [max(eighths, 1) if value is not None else 0 for eighths, value in zip(filled, values, strict=True)]
    return [
        "".join(EIGHTHS[min(max(eighths - 8 * row, 0), 8)] for eighths in lowest) for row in range(rows - 1, -1, -1)
    ]
