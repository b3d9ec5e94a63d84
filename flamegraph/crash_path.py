"""Finds an exception's backtrace among the stacks that were sampled, from the root: where both went the same way.

A line of a backtrace and a sampled frame are the same where their methods' names are, without class and block, and
their files', without folders: until Ruby 3.3 a backtrace names no class, and a gem may be loaded by a link. Of several
frames those win whose executing lines were sampled too (stackprof writes them since 0.2.26), then the heavier ones.
Frames of C and of Ruby's own `<internal:` files may stand in a stack alone: since Ruby 3.4 backtraces hide them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from flamegraph.crash_document import Place
    from flamegraph.profile import Frame

    Lines = Mapping[int, Collection[tuple[object, ...]]]

AROUND: Final = re.compile(r"(?:(?:block (?:\(\d+ levels\) )?|rescue |ensure )in )*")
QUALIFIED: Final = re.compile(r".*[#.](?P<method>[^#.]+)", re.DOTALL)
# So many frames that only the samples have may stand between two of the backtrace.
HIDDEN: Final = 3
# So many ways through the stacks are followed at once.
WAYS: Final = 64


@dataclass(frozen=True, slots=True)
class _Way:
    """Frames from the root, the stacks that begin with them, and how many lines of code were sampled where it went."""

    frames: tuple[int, ...]
    matched: tuple[int, ...]
    stacks: Sequence[int]
    agreed: int = 0


@dataclass(frozen=True, slots=True)
class Path:
    """The sampled part of the way to the exception: frames from the root, and which of them is each place's own."""

    frames: tuple[int, ...] = ()
    matched: tuple[int, ...] = ()


@lru_cache(maxsize=8192)
def method(label: str) -> str:
    """The bare name: `block in Cart#total`, `Cart.total` and `total` are all `total`."""
    bare = label[AROUND.match(label).end() :]  # type: ignore[union-attr]  # it matches the empty text too
    found = QUALIFIED.fullmatch(bare)
    return found["method"] if found else bare


def same(place: Place, frame: Frame) -> bool:
    """Whether a line of a backtrace can be of that method."""
    if method(place.label) != method(frame.name):
        return False
    # A backtrace gives a C function its caller's place.
    if frame.file.startswith("<") or place.file.startswith(("<", "(")) or not frame.file or not place.file:
        return True
    return _base(frame.file) == _base(place.file) and not 0 < place.line < frame.line


def _base(file: str) -> str:
    return file.rpartition("/")[2]


def follow(
    places: Sequence[Place],
    frames: Sequence[Frame],
    stacks: Sequence[tuple[int, ...]],
    weights: Sequence[float],
    lines: Lines,
) -> Path:
    """The longest part of the places, from the root, that the stacks have too; `weights` has one for each stack.

    `lines` has, for each stack where they are known, the lines that each of its frames was executing.
    """
    ways = [_Way((), (), range(len(stacks)))]
    for place in places:
        further = [each for way in ways for each in _step(way, place, frames, stacks, lines)]
        if not further:
            break
        further.sort(key=lambda way: _rank(way, weights), reverse=True)
        ways = further[:WAYS]
    best = max(ways, key=lambda way: _rank(way, weights))
    return Path(best.frames, best.matched)


def _rank(way: _Way, weights: Sequence[float]) -> tuple[int, float]:
    return way.agreed, sum(weights[stack] for stack in way.stacks)


def _step(
    way: _Way, place: Place, frames: Sequence[Frame], stacks: Sequence[tuple[int, ...]], lines: Lines
) -> Iterable[_Way]:
    """The ways one place further; over frames of C that no backtrace shows only where there is no other."""
    between = [way]
    for _ in range(HIDDEN + 1):
        found: list[_Way] = []
        hidden: list[_Way] = []
        for each in between:
            for frame, members in _callees(each, stacks).items():
                on = (*each.frames, frame)
                if same(place, frames[frame]):
                    agreed = way.agreed + _sampled(place.line, members, len(on) - 1, lines)
                    found.append(_Way(on, (*way.matched, len(on) - 1), members, agreed))
                elif frames[frame].file.startswith("<"):
                    hidden.append(_Way(on, way.matched, members))
        if found:
            return found
        between = hidden
    return ()


def _callees(way: _Way, stacks: Sequence[tuple[int, ...]]) -> dict[int, list[int]]:
    depth = len(way.frames)
    found: dict[int, list[int]] = {}
    for index in way.stacks:
        if len(stacks[index]) > depth and stacks[index][depth] >= 0:
            found.setdefault(stacks[index][depth], []).append(index)
    return found


def _sampled(line: int, members: Sequence[int], depth: int, lines: Lines) -> bool:
    return any(depth < len(each) and each[depth] == line for index in members for each in lines.get(index, ()))
