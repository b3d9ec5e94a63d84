"""Draws two profiles in one picture: every frame as wide as it is after, coloured by how its own total changed."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING

from flamegraph import legend, marks
from flamegraph.comparison import compare
from flamegraph.groups import shares
from flamegraph.layout import picture_of
from flamegraph.palette import STEPS, red_blue
from flamegraph.svg import Sheet, head_height, page
from flamegraph.text import clip, escape, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flamegraph.comparison import Comparison, Vanished
    from flamegraph.options import RenderOptions
    from flamegraph.profile import Profile

_LISTED = 40
_LINE = 17
_SCALE = 26


def render_diff(before: Profile, after: Profile, options: RenderOptions) -> str:
    """Draw what changed from one profile to the other; equal input gives equal bytes."""
    unit = options.count_name or after.unit
    both = compare(before, after, options)
    picture = picture_of(both.tree, both.frames, both.groups)
    deltas = [span[2] - was for span, was in zip(picture.spans, both.before, strict=True)]
    largest = max((abs(delta) for delta in deltas), default=0)
    changes = [
        (f"{step_class(delta, largest)} ", _change(was, delta)) for was, delta in zip(both.before, deltas, strict=True)
    ]
    lines = [options.subtitle or _facts(both, unit, options), *before.warnings, *after.warnings]
    rows = shares(after)
    numbers = {group: index for index, group in enumerate(picture.groups)}
    inner = options.width - 2 * marks.MARGIN
    top = head_height(lines)
    gone, gone_height = _list(both.vanished, unit)
    sheet = Sheet(
        picture=picture,
        palette=red_blue(),
        title=options.title or "Differential flame graph",
        lines=lines,
        legend=_scale(largest, unit, top) + legend.draw(rows, numbers, inner, top + _SCALE),
        legend_height=_SCALE + legend.height(len(rows), inner),
        frames=marks.draw_frames(
            picture, [""] * len(picture.frames), unit, inner, root_on_top=options.root_on_top, changes=changes
        ),
        below=gone,
        below_height=gone_height,
    )
    return page(sheet, options, unit)


def step_class(delta: float, largest: float) -> str:
    """The class of a change: `r1` to `r8` for more, `u1` to `u8` for less, `s0` for hardly any.

    Steps follow the square root, so that a small change is still seen beside a large one.
    """
    step = round(STEPS * sqrt(abs(delta) / largest)) if largest else 0
    if not step:
        return "s0"
    return f"{'r' if delta > 0 else 'u'}{step}"


def _change(was: float, delta: float) -> str:
    if not was:
        return ", new"
    if not delta:
        return ", unchanged"
    return f", {_signed(delta)}, was {number(was)}, {100 * delta / was:+.1f}%"


def _signed(delta: float) -> str:
    return f"{'+' if delta > 0 else ''}{number(delta)}"


def _facts(both: Comparison, unit: str, options: RenderOptions) -> str:
    facts = [f"{number(both.before_total)} {unit} before, {number(both.tree.total)} after"]
    if options.normalize:
        facts.append(f"counts before scaled by {both.factor:.3g}")
    return " · ".join([*facts, "width: after", "colour: change of the frame's own total"])


def _scale(largest: float, unit: str, y: int) -> str:
    """The colours from less to more, with what their ends mean."""
    names = [*(f"u{step}" for step in range(STEPS, 0, -1)), "s0", *(f"r{step}" for step in range(1, STEPS + 1))]
    swatches = "".join(
        f'<rect class="{name}" x="{index * 16}" width="16" height="12"/>' for index, name in enumerate(names)
    )
    end = 16 * len(names)
    return (
        f'<g transform="translate(140 {y})"><g id="scale" role="img" aria-label="blue: less, red: more">{swatches}</g>'
        f'<text class="n" x="-8" y="11">{escape(f"-{number(largest)} {unit}")}</text>'
        f'<text x="{end + 8}" y="11">{escape(f"+{number(largest)} {unit}")}</text></g>\n'
    )


def _list(vanished: Sequence[Vanished], unit: str) -> tuple[str, int]:
    """What is gone, as text under the frames, and how high that is."""
    if not vanished:
        return "", 0
    total = sum(gone.before for gone in vanished)
    heading = f"Vanished: {number(total)} {unit} in {number(len(vanished))} frames"
    said = [f"{number(gone.before)}  {gone.frame.name}{_whence(gone)}" for gone in vanished[:_LISTED]]
    if len(vanished) > _LISTED:
        said.append(f"and {number(len(vanished) - _LISTED)} more")
    lines = "".join(
        f'<text y="{_LINE * (index + 1)}">{escape(clip(line, 160))}</text>' for index, line in enumerate(said)
    )
    head = f'<text font-weight="600">{escape(heading)}</text>'
    return f'<g id="vanished" transform="translate(0 48)">{head}{lines}</g>', _LINE * (len(said) + 1) + 30


def _whence(gone: Vanished) -> str:
    caller = f", called by {gone.caller.name}" if gone.caller else ""
    return f"{caller} ({marks.place(gone.frame)})" if gone.frame.file else caller
