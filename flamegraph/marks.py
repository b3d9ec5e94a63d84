"""The frames as SVG: a rectangle with its title each, and labels on those that are wide enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flamegraph.text import displayed, escape, number, plain, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flamegraph.layout import Picture
    from flamegraph.profile import Frame

MARGIN = 10
ROW = 17
ROOT_NAME = "all"
# The width of a character of the labels, in pixels: the widest of the monospaced fonts at their size.
_CELL = 6.9
_PADDING = 7
_LARGEST = 10_000_000
# From this width on, in pixels, a frame is set off from its neighbours; a thinner one would drown in the line.
_SEPARATED = 4
SHORTEST_LABEL = 4


def place(frame: Frame) -> str:
    """A frame's file and line, as far as they are known."""
    return f"{frame.file}:{frame.line}" if frame.line else frame.file


def row_y(depth: int, rows: int, *, root_on_top: bool) -> int:
    """Where the row of a depth begins; the root's depth is 0."""
    return (depth if root_on_top else rows - depth) * ROW


def shrink(total: float) -> int:
    """What places are divided by in the picture: 1, or a power of ten where the total is large.

    Browsers draw with 24 bits of precision, and Chromium cuts lengths at 2^25.
    """
    divisor = 1
    while total / divisor > _LARGEST:
        divisor *= 10
    return divisor


def draw_frames(
    picture: Picture,
    classes: Sequence[str],
    unit: str,
    width: float,
    *,
    root_on_top: bool,
    changes: Sequence[tuple[str, str]] = (),
) -> str:
    """One `<g>` a frame, in rows from the root; x and width are in samples, so that the browser does the scaling.

    `classes` holds those of each frame of the picture, beside its group's. `changes` holds, for each span of a diff,
    the class of its colour and what its title says after the percentage. The class `wide` gives a frame that is wide
    enough for it a line around.
    """
    total = picture.total
    scale = 100 / total if total else 0
    wide = _SEPARATED * total / width
    unit = escape(unit)
    heads = [
        f'{" " if extra else ""}{extra}"><title>{escape(displayed(frame.name))} ('
        for frame, extra in zip(picture.frames, classes, strict=True)
    ]
    tails = [f"\n{escape(place(frame))}</title>" if frame.file else "</title>" for frame in picture.frames]
    amounts: dict[int | float, str] = {}
    widths: dict[int | float, str] = {}
    whole = plain(total)
    divisor = shrink(total)
    high = ROW - 1
    y = row_y(0, picture.depth, root_on_top=root_on_top)
    marks = [
        (
            f"<g><title>{ROOT_NAME} ({number(total)} {unit}, 100%)</title>"
            f'<rect height="{high}" y="{y}" fg:w="{whole}" width="{plain(total / divisor)}" fg:x="0" x="0"/></g>\n'
        )
    ]
    for index, (depth, x, weight, frame, group) in enumerate(picture.spans):
        if weight not in amounts:
            size = plain(weight)
            amounts[weight] = f"{number(weight)} {unit}, {weight * scale:.2f}%"
            small = size if divisor == 1 else plain(weight / divisor)
            widths[weight] = f'" fg:w="{size}" width="{small}" fg:x="'
        at = plain(x)
        left = at if divisor == 1 else plain(x / divisor)
        y = (depth if root_on_top else picture.depth - depth) * ROW
        color, change = changes[index] if changes else ("", "")
        line = "wide " if weight >= wide else ""
        marks.append(
            f'<g class="{line}{color}g{group}{heads[frame]}{amounts[weight]}{change}){tails[frame]}'
            f'<rect height="{high}" y="{y}{widths[weight]}{at}" x="{left}"/></g>\n'
        )
    return "".join(marks)


def draw_labels(picture: Picture, width: float, *, root_on_top: bool) -> str:
    """The names that fit on their frames at this width, cut where they must be."""
    if not picture.total:
        return ""
    scale = width / picture.total
    least = (SHORTEST_LABEL * _CELL + _PADDING) / scale
    labels = [_label(ROOT_NAME, 0, width, row_y(0, picture.depth, root_on_top=root_on_top))]
    for depth, x, weight, frame, _ in picture.spans:
        if weight >= least:
            y = row_y(depth, picture.depth, root_on_top=root_on_top)
            labels.append(_label(displayed(picture.frames[frame].name), x * scale, weight * scale, y))
    return "".join(labels)


def _label(name: str, x: float, width: float, y: int) -> str:
    text = shorten(name, int((width - _PADDING) / _CELL))
    return f'<text x="{MARGIN + x + 4:.0f}" y="{y + 12}">{escape(text)}</text>\n' if text else ""
