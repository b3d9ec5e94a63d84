"""The legend: each group with what it takes itself and what passes through it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flamegraph.text import clip, escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flamegraph.groups import Share

ROW_HEIGHT = 18
COLUMN_WIDTH = 258
_HEAD = 20
_LABEL_CHARS = 24


def exact_percents(values: Sequence[int | float], digits: int = 1) -> list[float]:
    """The shares of the values in percent, rounded so that they still sum to 100 (the largest remainder's method)."""
    total = sum(values)
    if not total:
        return [0.0] * len(values)
    unit: int = 10**digits
    exact = [100 * unit * value / total for value in values]
    floors = [int(value) for value in exact]
    missing = 100 * unit - sum(floors)
    by_remainder = sorted(range(len(values)), key=lambda index: (floors[index] - exact[index], index))
    for index in by_remainder[:missing]:
        floors[index] += 1
    return [value / unit for value in floors]


def _percent(value: float) -> str:
    """The whole without its digit: two of it side by side would touch."""
    text = f"{value:.1f}%"
    return "100%" if text == "100.0%" else text


def columns_for(width: float, rows: int) -> int:
    """How many columns of the legend fit."""
    return max(1, min(int(width // COLUMN_WIDTH), rows))


def height(rows: int, width: float) -> int:
    """How high a legend of so many rows is."""
    return _HEAD + -(-rows // columns_for(width, rows)) * ROW_HEIGHT + 8 if rows else 0


def draw(shares: Sequence[Share], numbers: Mapping[str, int], width: float, y: int) -> str:
    """The legend as SVG, column by column; each row knows its group's number, so that a click can pick it."""
    if not shares:
        return ""
    columns = columns_for(width, len(shares))
    per_column = -(-len(shares) // columns)
    total = sum(share.own for share in shares)
    rows = []
    for index, (share, own) in enumerate(zip(shares, exact_percents([s.own for s in shares]), strict=True)):
        left, top = index // per_column * COLUMN_WIDTH, index % per_column * ROW_HEIGHT + _HEAD
        # Rounding its self percent up must not make a group seem to take more itself than it takes in all.
        inclusive = max(own, 100 * share.total / total if total else 0)
        shown = clip(share.group, _LABEL_CHARS)
        whole = "" if shown == share.group else f"<title>{escape(share.group)}</title>"
        rows.append(
            f'<g class="row" data-g="{numbers[share.group]}" transform="translate({left} {top})">'
            f'{whole}<rect class="back" x="-4" width="{COLUMN_WIDTH - 12}" height="{ROW_HEIGHT}" rx="4"/>'
            f'<rect class="g{numbers[share.group]}" y="3" width="12" height="12" rx="3"/>'
            f'<text x="18" y="13">{escape(shown)}</text>'
            f'<text class="n" x="200" y="13">{_percent(own)}</text>'
            f'<text class="n m" x="246" y="13">{_percent(inclusive)}</text></g>'
        )
    heads = "".join(
        f'<g class="m head" transform="translate({column * COLUMN_WIDTH} 13)"><text x="18">group</text>'
        f'<text class="n" x="200">self</text><text class="n" x="246">total</text></g>'
        for column in range(-(-len(shares) // per_column))
    )
    return f'<g id="legend" fill="#afb8c1" transform="translate(10 {y})">{heads}{"".join(rows)}</g>\n'
