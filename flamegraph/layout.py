"""Puts the spans of a profile where a picture shows them: which order, which direction, which depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from flamegraph.caption import length_us
from flamegraph.groups import classify, stack_weights
from flamegraph.profile import Frame
from flamegraph.tree import Span, Tree, merge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flamegraph.options import RenderOptions
    from flamegraph.profile import Profile

_KNOTS = 250


@dataclass(frozen=True, slots=True)
class Picture:
    """What is to be drawn, row by row from the root, and what is too narrow for it.

    `knots` are pairs of a place on the x axis and its time in microseconds, where times are known and the x axis
    is one of time.
    """

    frames: Sequence[Frame]
    groups: Sequence[str]
    spans: Sequence[Span]
    narrow: Sequence[Span]
    forgotten: int
    total: int | float
    depth: int
    knots: Sequence[tuple[int | float, int]] = ()


def lay_out(profile: Profile, options: RenderOptions) -> Picture:
    """Order the stacks as the layout wants them, merge them and cut what is too narrow."""
    frames, rank = rank_frames(profile.frames)
    groups, own = classify(frames)
    total = sum(profile.weights)
    floor = total * options.min_percent / 100
    tree = merge(_ordered(profile, rank, options), own, floor)
    if options.layout == "left-heavy":
        tree = _left_heavy(tree)
    elif options.layout == "reversed":
        tree = _caller_groups(tree, own)
    knots = _knots(profile) if options.layout == "chart" else ()
    return picture_of(tree, frames, groups, knots)


def picture_of(
    tree: Tree, frames: Sequence[Frame], groups: Sequence[str], knots: Sequence[tuple[int | float, int]] = ()
) -> Picture:
    """Sort a tree's spans by rows, keep the frames that they show, and say how many rows there are."""
    number = {frame: index for index, frame in enumerate(sorted({span[3] for span in (*tree.spans, *tree.narrow)}))}
    spans, narrow = (
        [(depth, x, weight, number[frame], group) for depth, x, weight, frame, group in found]
        for found in (sorted(tree.spans), sorted(tree.narrow, key=itemgetter(1, 0)))
    )
    depth = spans[-1][0] if spans else 0
    return Picture([frames[frame] for frame in number], groups, spans, narrow, tree.forgotten, tree.total, depth, knots)


def rank_frames(frames: Sequence[Frame]) -> tuple[list[Frame], list[int]]:
    """The different frames sorted by name, file and line, and the place of each given one among them."""
    keys = [(frame.name, frame.file, frame.line) for frame in frames]
    ranked: list[Frame] = []
    rank = [0] * len(keys)
    last = None
    for index in sorted(range(len(keys)), key=keys.__getitem__):
        if keys[index] != last:
            last = keys[index]
            ranked.append(frames[index])
        rank[index] = len(ranked) - 1
    return ranked, rank


def _ordered(
    profile: Profile, rank: Sequence[int], options: RenderOptions
) -> Iterator[tuple[tuple[int, ...], int | float]]:
    stacks = [tuple(map(rank.__getitem__, stack)) for stack in profile.stacks]
    if options.layout == "chart":
        for index, weight in zip(profile.order, profile.weights, strict=True):
            if weight:
                yield stacks[index], weight
        return
    if options.layout == "reversed":
        stacks = [stack[::-1] for stack in stacks]
    # A stack sorts before those that it begins, so a frame's own weight lies left of its callees.
    yield from sorted(entry for entry in zip(stacks, stack_weights(profile), strict=True) if entry[1])


def _left_heavy(tree: Tree) -> Tree:
    """The same spans, siblings by weight; a frame's own weight lies right of its callees."""
    too_narrow = set(tree.narrow)
    spans = sorted((*tree.spans, *tree.narrow), key=itemgetter(1, 0))
    children: list[list[int]] = [[] for _ in spans]
    roots: list[int] = []
    path: list[int] = []
    for index, span in enumerate(spans):
        del path[span[0] - 1 :]
        (children[path[-1]] if path else roots).append(index)
        path.append(index)
    placed: list[Span] = []
    narrow: list[Span] = []
    waiting: list[tuple[int | float, list[int]]] = [(0, roots)]
    while waiting:
        x, siblings = waiting.pop()
        cursor: int | float = x
        for index in sorted(siblings, key=lambda sibling: (-spans[sibling][2], spans[sibling][3])):
            depth, _, weight, frame, group = spans[index]
            span = (depth, cursor, weight, frame, group)
            (narrow if spans[index] in too_narrow else placed).append(span)
            waiting.append((cursor, children[index]))
            cursor += weight
    return Tree(tree.total, placed, narrow, tree.forgotten)


def _caller_groups(tree: Tree, own: Sequence[int]) -> Tree:
    """The same spans, where a frame without a group of its own has its heaviest caller's, which is above it."""
    heaviest: dict[int, tuple[int | float, int]] = {}
    spans = []
    for depth, x, weight, frame, given in tree.spans:
        group = own[frame]
        above = heaviest.pop(depth + 1, (0, given))
        if group < 0:
            group = above[1]
        if weight > heaviest.get(depth, (0, 0))[0]:
            heaviest[depth] = (weight, group)
        spans.append((depth, x, weight, frame, group))
    return Tree(tree.total, spans, tree.narrow, tree.forgotten)


def _knots(profile: Profile) -> list[tuple[int | float, int]]:
    """At most some hundred points of the line that leads from places on the x axis to times."""
    if not profile.starts_us:
        return []
    places: list[int | float] = []
    x: int | float = 0
    for weight in profile.weights:
        places.append(x)
        x += weight
    step = max(1, len(places) // _KNOTS)
    knots = list(zip(places, profile.starts_us, strict=True))[::step]
    return [*knots, (x, length_us(profile))]
