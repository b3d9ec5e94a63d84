"""Sets two profiles against each other: one tree, and what every frame of it weighed before and weighs after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flamegraph.groups import classify, stack_weights
from flamegraph.layout import rank_frames
from flamegraph.profile import Frame
from flamegraph.tree import Span, Tree, merge

if TYPE_CHECKING:
    from flamegraph.options import RenderOptions
    from flamegraph.profile import Profile


@dataclass(frozen=True, slots=True)
class Vanished:
    """A frame that its caller no longer reaches, with what it weighed before."""

    frame: Frame
    caller: Frame | None
    before: int | float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both profiles as one tree of spans as they are after; `before` is what each of them weighed.

    `before_total` is the sum as it was counted, `factor` what weights before were multiplied by.
    """

    frames: Sequence[Frame]
    groups: Sequence[str]
    tree: Tree
    before: Sequence[int | float]
    before_total: int | float
    factor: float
    vanished: Sequence[Vanished]


def split(profile: Profile) -> tuple[Profile, Profile]:
    """The two profiles that folded text with two counts holds."""
    if profile.weights_after is None:
        raise ValueError(f"{profile.source or 'the profile'} has one count a stack, a diff needs two")
    return replace(profile, weights_after=None), replace(profile, weights=profile.weights_after, weights_after=None)


def compare(before: Profile, after: Profile, options: RenderOptions) -> Comparison:
    """Merge the stacks of both; raises ValueError where they do not count the same thing, or for another layout."""
    _refuse_unlike(before, after)
    if options.layout not in ("flame", "icicle"):
        raise ValueError(f"a diff has the layout flame or icicle, was {options.layout}")
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
    floor = totals[1] * options.min_percent / 100
    spans, before_weights = _drawn(old, new, floor)
    tree = Tree(new.total, spans, [span for span in new.spans if 0 < span[2] < floor], 0)
    gone = _vanished([span[2] for span in old.spans], new.spans, frames)
    return Comparison(frames, groups, tree, before_weights, totals[0], factor, gone)


def _refuse_unlike(before: Profile, after: Profile) -> None:
    if before.unit != after.unit:
        raise ValueError(f"a diff needs equal units, was {before.unit} before and {after.unit} after")
    if before.mode != after.mode and before.mode and after.mode:
        raise ValueError(f"a diff needs equal modes, was {before.mode} before and {after.mode} after")
    for name, profile in (("before", before), ("after", after)):
        if profile.weights_after is not None:
            raise ValueError(f"the profile {name} has two counts a stack, which are a diff already: render draws it")


def _drawn(old: Tree, new: Tree, floor: float) -> tuple[list[Span], list[int | float]]:
    """The spans to draw, row by row, and what each of them weighed before."""
    drawn = [index for index, span in enumerate(new.spans) if span[2] and span[2] >= floor]
    drawn.sort(key=new.spans.__getitem__)
    return [new.spans[index] for index in drawn], [old.spans[index][2] for index in drawn]


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
