"""Merges stacks into a trie: each run of stacks with a common beginning becomes one span."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# depth (the roots of the stacks are 1), start, weight, frame, group
Span = tuple[int, int | float, int | float, int, int]

# Spans too narrow to draw are remembered up to this many, the heavier ones first.
_NARROW_LIMIT = 40_000


@dataclass(frozen=True, slots=True)
class Tree:
    """The trie as spans. `narrow` holds the heaviest of those under the floor, `forgotten` counts the rest."""

    total: int | float
    spans: list[Span]
    narrow: list[Span]
    forgotten: int


def merge(stacks: Iterable[tuple[Sequence[int], int | float]], own_groups: Sequence[int], floor: float = 0) -> Tree:
    """Merge neighbouring stacks where they begin alike; what is not next to each other stays apart.

    A stack is a sequence of frames, root first, with its weight. Sorted stacks therefore give a flame graph and stacks
    in the order of time a chart. A frame whose own group is -1 takes its caller's. The spans come as they end, children
    before their parents; those that start at the same place are told apart by their depth.
    """
    spans: list[Span] = []
    narrow = _Narrow()
    starts: list[int | float] = []
    groups = [0]
    previous: Sequence[int] = ()
    x: int | float = 0
    common = 0
    # The empty stack at the end closes what is open.
    for stack, weight in chain(stacks, (((), 0),)):
        common = _shared(stack, previous, common)
        for depth in range(len(previous), common, -1):
            start = starts.pop()
            group = groups.pop()
            width = x - start
            if width >= floor:
                spans.append((depth, start, width, previous[depth - 1], group))
            elif width < narrow.least:
                narrow.forgotten += 1
            else:
                narrow.add((depth, start, width, previous[depth - 1], group))
        for frame in stack[common:]:
            starts.append(x)
            group = own_groups[frame]
            groups.append(group if group >= 0 else groups[-1])
        previous = stack
        x += weight
    return Tree(x, spans, narrow.spans, narrow.forgotten)


def _shared(stack: Sequence[int], other: Sequence[int], guess: int) -> int:
    """How many frames two stacks have in common from the root.

    Neighbours mostly share about as much as the pair before them did, which one comparison tells.
    """
    common = min(guess, len(stack), len(other))
    while stack[:common] != other[:common]:
        common //= 2
    for mine, theirs in zip(stack[common:], other[common:], strict=False):
        if mine != theirs:
            break
        common += 1
    return common


def by_weight(span: Span) -> tuple[int | float, int, int | float]:
    """The key that sorts the heavier spans first, and a parent before its children."""
    return -span[2], span[0], span[1]


class _Narrow:
    """The heaviest spans under the floor: what is kept stays a trie, for a parent sorts before its children.

    What weighs less than `least` need not be offered.
    """

    __slots__ = ("forgotten", "last", "least", "spans")

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.least: int | float = 0
        self.last: tuple[int | float, int, int | float] | None = None
        self.forgotten = 0

    def add(self, span: Span) -> None:
        if self.last and by_weight(span) > self.last:
            self.forgotten += 1
            return
        self.spans.append(span)
        if len(self.spans) > _NARROW_LIMIT:
            self.spans.sort(key=by_weight)
            kept = _NARROW_LIMIT // 2
            self.forgotten += len(self.spans) - kept
            del self.spans[kept:]
            self.last = by_weight(self.spans[-1])
            self.least = -self.last[0]
