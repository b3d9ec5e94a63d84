"""The axis of time over a chart."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from flamegraph.text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

HEIGHT = 22
_TICK_PX = 110
_LABEL_PX = 50


def step_us(length_us: float, ticks: int) -> int:
    """A step of 1, 2 or 5 times a power of ten that gives at most so many ticks."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if length_us <= step * factor * ticks:
                return step * factor
        step *= 10


def place_of(time_us: float, knots: Sequence[tuple[int | float, int]]) -> float:
    """The place on the x axis of a time, between the two knots around it."""
    times = [time for _, time in knots]
    right = min(max(bisect_left(times, time_us), 1), len(knots) - 1)
    (x0, t0), (x1, t1) = knots[right - 1], knots[right]
    return x0 if t1 == t0 else x0 + (x1 - x0) * (time_us - t0) / (t1 - t0)


def label(time_us: int, step: int) -> str:
    """A tick's time: in milliseconds, which are what a request is counted in."""
    digits = 3 if step < 10 else 2 if step < 100 else 1 if step < 1000 else 0
    return f"{time_us / 1000:,.{digits}f} ms"


def draw(knots: Sequence[tuple[int | float, int]], total: float, width: float, height: int) -> str:
    """Ticks with their times and a line down through the picture; empty where no times are known."""
    if len(knots) < 2 or not total:
        return ""
    length = knots[-1][1]
    step = step_us(length, max(1, int(width // _TICK_PX)))
    marks = []
    for time in range(0, length + 1, step):
        place = place_of(time, knots) * width / total
        x = f"{10 + place:.1f}"
        said = f'<text x="{x}" dx="4" y="13">{label(time, step)}</text>' if place <= width - _LABEL_PX else ""
        marks.append(f'<path d="M{x} 0V{height}"/>{said}')
    data = " ".join(f"{plain(x)},{time}" for x, time in knots)
    return f'<g id="axis" data-knots="{data}">{"".join(marks)}</g>\n'
