r"""Read folded text: a stack a line, root first, names between semicolons, then a space and its count.

In names that `flamegraph fold` wrote, `\x3b` stands for a semicolon, and `name - path:line` carries file and line.
"""

from __future__ import annotations

import re
from collections import Counter
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, Final

from flamegraph.profile import Frame, Profile, ProfileError
from flamegraph.readers.text import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from flamegraph.readers.detect import ReadOptions

NAME: Final = "folded"
# Stacks up to this many are found again by their bytes; where there are more, few come twice.
KNOWN_STACKS: Final = 1 << 16
# So many lines are counted at once: many enough for repeats, few enough for the memory.
PIECE: Final = 1 << 16
# What of an input tells whether its lines repeat.
SAMPLE: Final = 1 << 22
SAMPLE_LINES: Final = 1 << 14

# Numbers of more digits are no counts, and no float holds them.
LONGEST_COUNT: Final = 300
NOTE: Final = "two counts a stack, of which these are the first; a drawing shows how they change to the second"

NUMBER: Final = rb"(\d+(?:\.\d*)?)"
ENDS: Final = frozenset(b"%d" % digit for digit in range(10)) | {b"."}
COUNT: Final = re.compile(rb"(.*?)[ \t]+?" + NUMBER, re.DOTALL)
TWO_COUNTS: Final = re.compile(rb"(.*?)[ \t]+" + NUMBER + rb"[ \t]+" + NUMBER, re.DOTALL)
PLACE: Final = re.compile(r"(.*) - (.+):(\d{1,9})", re.DOTALL)
ESCAPED: Final = re.compile(r"\\x(20|23|3b|5c|[01][0-9a-f]|7f)")


class _Stacks:
    """The different names and stacks so far, numbered in the order in which they came."""

    def __init__(self) -> None:
        self.names = _Names()
        self.index: dict[tuple[int, ...], int] = {}

    def add(self, stack: bytes) -> int:
        """The number of a stack."""
        key = tuple(map(self.names.__getitem__, stack.split(b";")))
        return self.index.setdefault(key, len(self.index))

    def frames(self) -> list[Frame]:
        """The frames that the names stand for."""
        return [frame_of(decode(name)) for name in self.names]


class _Names(dict[bytes, int]):
    """Numbers each new name."""

    def __missing__(self, name: bytes) -> int:
        self[name] = index = len(self)
        return index


def detect(data: bytes) -> bool:
    """Whether one of the first lines is a stack with its count."""
    return any(_stack_and_count(line)[1] for line in islice(BytesIO(data), 1000))


def read(data: bytes, options: ReadOptions) -> Profile:
    """Read every line that is a stack with a count; the other lines are counted in a warning.

    Where every line has two counts, the second is the weight after a change, as flamegraph.pl understands it.
    """
    first = next(_lines(BytesIO(data)), b"")
    if TWO_COUNTS.fullmatch(first) and (found := _read_two(data)):
        return found
    stacks = _Stacks()
    read_lines = _in_order if options.ordered or not _repeats(data) else _summed
    order, weights, unsound = read_lines(data, stacks)
    if not order:
        raise ProfileError("no line is a stack and its count, so not folded text")
    return Profile(
        frames=stacks.frames(),
        stacks=list(stacks.index),
        order=order,
        weights=weights,
        warnings=_warnings(unsound),
        source=NAME,
    )


def _repeats(data: bytes) -> bool:
    """Whether most of the first lines come more than once."""
    first = list(islice(BytesIO(data[:SAMPLE]), SAMPLE_LINES))
    return len(set(first)) * 2 < len(first)


def _in_order(data: bytes, stacks: _Stacks) -> tuple[Sequence[int], Sequence[float], list[int]]:
    """The stack and the count of each line, and the numbers of lines that are none."""
    known: dict[bytes, int] = {}
    order: list[int] = []
    weights: list[float] = []
    unsound: list[int] = []
    for at, line in enumerate(BytesIO(data), 1):
        stack, count = _stack_and_count(line)
        if not count:
            unsound += [at] * bool(stack)
            continue
        index = known.get(stack)
        if index is None:
            index = stacks.add(stack)
            if len(known) < KNOWN_STACKS:
                known[stack] = index
        order.append(index)
        weights.append(_number(count))
    return order, weights, unsound


def _summed(data: bytes, stacks: _Stacks) -> tuple[Sequence[int], Sequence[float], list[int]]:
    """The same with equal stacks added: equal lines are counted before any is looked into."""
    known: dict[bytes, tuple[int, float]] = {}
    sums: list[float] = []
    unsound: list[int] = []
    lines = BytesIO(data)
    at = 1
    while piece := Counter(islice(lines, PIECE)):
        for line, times in piece.items():
            found = known.get(line)
            if found is None:
                stack, count = _stack_and_count(line)
                if not count:
                    unsound += [at] * (times * bool(stack))
                    continue
                found = (stacks.add(stack), _number(count))
                if len(known) < KNOWN_STACKS:
                    known[line] = found
                if len(stacks.index) > len(sums):
                    sums.append(0)
            sums[found[0]] += found[1] * times
        at += sum(piece.values())
    return range(len(sums)), sums, unsound


def _lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends, blank ones and comments left out."""
    for line in lines:
        bare = line.rstrip(b"\r\n")
        if bare.strip() and bare[:2] != b"# ":
            yield bare


def _stack_and_count(line: bytes) -> tuple[bytes, bytes]:
    """The two parts of a line; no count where there is none, and no stack either in a blank line or a comment."""
    stack, space, count = line.rstrip(b"\r\n").rpartition(b" ")
    if space and count.isdigit() and stack[:2] != b"# ":
        return stack, count
    for bare in _lines([line]):
        # A line may be the whole of a large file of another kind, so it is searched only where it can match.
        found = COUNT.fullmatch(bare) if bare[-1:] in ENDS else None
        return (found[1], found[2]) if found else (bare, b"")
    return b"", b""


def _number(count: bytes) -> int | float:
    if len(count) > LONGEST_COUNT:
        raise ProfileError(f"a count of {len(count)} digits")
    return int(count) if count.isdigit() else float(count)


def _read_two(data: bytes) -> Profile | None:
    stacks = _Stacks()
    order: list[int] = []
    before: list[float] = []
    after: list[float] = []
    for line in _lines(BytesIO(data)):
        found = TWO_COUNTS.fullmatch(line)
        if found is None:
            return None
        order.append(stacks.add(found[1]))
        before.append(_number(found[2]))
        after.append(_number(found[3]))
    return Profile(
        frames=stacks.frames(),
        stacks=list(stacks.index),
        order=order,
        weights=before,
        weights_after=after,
        source=NAME,
        note=NOTE,
    )


def _warnings(unsound: list[int]) -> list[str]:
    if not unsound:
        return []
    lines = "1 line" if len(unsound) == 1 else f"{len(unsound)} lines"
    return [f"{lines} without a count left out, from line {unsound[0]} on"]


def frame_of(name: str) -> Frame:
    """The frame that a name stands for, file and line taken from `name - path:line`."""
    found = PLACE.fullmatch(name)
    if found is None:
        return Frame(unescape(name))
    return Frame(unescape(found[1]), unescape(found[2]), int(found[3]))


def unescape(name: str) -> str:
    """Undo what `flamegraph.fold.escape` did."""
    return ESCAPED.sub(lambda found: chr(int(found[1], 16)), name) if "\\x" in name else name
