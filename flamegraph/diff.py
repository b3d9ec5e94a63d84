"""Draws two profiles in one picture: every frame as wide as it is after, coloured by how its own total changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING

from flamegraph import legend, marks
from flamegraph.groups import classify, shares, stack_weights
from flamegraph.layout import picture_of, rank_frames
from flamegraph.palette import STEPS, red_blue
from flamegraph.profile import Frame
from flamegraph.svg import Sheet, head_height, page
from flamegraph.text import clip, escape, number
from flamegraph.tree import Span, Tree, merge

if TYPE_CHECKING:
    from flamegraph.options import RenderOptions
    from flamegraph.profile import Profile

_LISTED = 40
_LINE = 17
_SCALE = 26


@dataclass(frozen=True, slots=True)
class Vanished:
    """A frame that its caller no longer reaches, with what it weighed before."""

    frame: Frame
    caller: Frame | None
    before: int | float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both profiles as one tree: `spans` as they are after, `before` the weight that each of them had."""

    frames: Sequence[Frame]
    groups: Sequence[str]
    tree: Tree
    before: Sequence[int | float]
    before_total: int | float
    vanished: Sequence[Vanished]


def split(profile: Profile) -> tuple[Profile, Profile]:
    """The two profiles that folded text with two counts holds."""
    if profile.weights_after is None:
        raise ValueError(f"{profile.source or 'the profile'} has one count a stack, a diff needs two")
    return replace(profile, weights_after=None), replace(profile, weights=profile.weights_after, weights_after=None)


def compare(before: Profile, after: Profile, options: RenderOptions) -> Comparison:
    """Merge the stacks of both; raises ValueError where they do not count the same thing."""
    if before.unit != after.unit:
        raise ValueError(f"a diff needs equal units, was {before.unit} before and {after.unit} after")
    frames, rank = rank_frames([*before.frames, *after.frames])
    groups, own = classify(frames)
    shift = len(before.frames)
    weights: dict[tuple[int, ...], list[int | float]] = {}
    for side, profile, base in ((0, before, 0), (1, after, shift)):
        for stack, weight in zip(profile.stacks, stack_weights(profile), strict=True):
            key = tuple(rank[base + frame] for frame in stack)
            weights.setdefault(key, [0, 0])[side] += weight
    totals = [sum(pair[side] for pair in weights.values()) for side in (0, 1)]
    factor = totals[1] / totals[0] if options.normalize and totals[0] else 1
    stacks = sorted(weights)
    # Both trees see the same stacks in the same order, so their spans come in the same order too.
    old = merge(((stack, weights[stack][0] * factor) for stack in stacks), own, -1)
    new = merge(((stack, weights[stack][1]) for stack in stacks), own, -1)
    return _join(old, new, frames, groups, totals[1] * options.min_percent / 100)


def _join(old: Tree, new: Tree, frames: Sequence[Frame], groups: Sequence[str], floor: float) -> Comparison:
    was = [span[2] for span in old.spans]
    drawn = [index for index, span in enumerate(new.spans) if span[2] and span[2] >= floor]
    narrow = [span for span in new.spans if 0 < span[2] < floor]
    rows = sorted(drawn, key=lambda index: new.spans[index])
    tree = Tree(new.total, [new.spans[index] for index in rows], narrow, 0)
    before = [was[index] for index in rows]
    return Comparison(frames, groups, tree, before, old.total, _vanished(was, new.spans, frames))


def _vanished(was: Sequence[int | float], spans: Sequence[Span], frames: Sequence[Frame]) -> list[Vanished]:
    """The outermost frames that are gone, the heaviest first; callers come after callees, so read from the end."""
    found: dict[tuple[int, int], int | float] = {}
    path: list[tuple[int, bool]] = []
    for index in range(len(spans) - 1, -1, -1):
        depth, _, weight, frame, _ = spans[index]
        del path[depth - 1 :]
        gone = not weight
        if gone and was[index] and not (path and path[-1][1]):
            key = (frame, path[-1][0] if path else -1)
            found[key] = found.get(key, 0) + was[index]
        path.append((frame, gone))
    heaviest = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [
        Vanished(frames[frame], frames[caller] if caller >= 0 else None, weight) for (frame, caller), weight in heaviest
    ]


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
        facts.append("totals normalised to those after")
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
    head = f'<text class="h">{escape(heading)}</text>'
    return f'<g id="vanished" transform="translate(0 48)">{head}{lines}</g>', _LINE * (len(said) + 1) + 30


def _whence(gone: Vanished) -> str:
    caller = f", called by {gone.caller.name}" if gone.caller else ""
    return f"{caller} ({marks.place(gone.frame)})" if gone.frame.file else caller
