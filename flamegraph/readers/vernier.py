"""Read vernier's files, which are profiles for Firefox's profiler with one table each of stacks, frames, functions."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

from flamegraph.profile import Frame, Profile, ProfileError
from flamegraph.readers.choice import choose
from flamegraph.readers.json_text import loads
from flamegraph.readers.text import sound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flamegraph.readers.detect import ReadOptions

NAME: Final = "vernier"
UNITS: Final = {"samples": "samples", "bytes": "bytes"}


def detect(data: bytes) -> bool:
    """Whether the tables of Firefox's profiler are there."""
    return b'"stackTable"' in data and b'"frameTable"' in data


def read(data: bytes, options: ReadOptions) -> Profile:
    """Read one thread, the main one by default, or all."""
    match loads(data):
        case {"threads": list(threads), **rest}:
            pass
        case _:
            raise ProfileError("JSON without the threads of Firefox's profiler")
    tables = [thread for thread in threads if isinstance(thread, dict)]
    main = next((at for at, thread in enumerate(tables) if thread.get("isMainThread")), 0)
    names = [sound(str(thread.get("name", ""))) for thread in tables]
    meta = rest.get("meta")
    interval = meta.get("interval") if isinstance(meta, dict) else None
    us = round(interval * 1000) if isinstance(interval, int | float) else None
    return choose(names, lambda index: _thread(tables[index], us), options.profile, main)


def _thread(thread: Mapping[str, object], interval: int | None) -> Profile:
    samples = _table(thread, "samples")
    numbers = _column(samples, "stack")
    size = len(numbers)
    weights = _column(samples, "weight") if isinstance(samples.get("weight"), list) else [1] * size
    if len(weights) != size:
        raise ProfileError(f"{size} samples, but {len(weights)} weights")
    stacks = _Stacks(thread)
    times = _times(samples, size)
    order: list[int] = []
    kept: list[int | float] = []
    starts: list[int] = []
    for at, (number, weight) in enumerate(zip(numbers, weights, strict=True)):
        if not isinstance(weight, int | float) or not 0 <= weight < 1e300:
            raise ProfileError(f"sample {at} weighs {weight!r}, which is not a number from 0 on")
        if number is not None:
            order.append(stacks.add(number))
            kept.append(weight)
            starts += times[at : at + 1]
    return Profile(
        frames=list(stacks.frames),
        stacks=list(stacks.index),
        order=order,
        weights=kept,
        unit=UNITS.get(str(samples.get("weightType", "samples")), "samples"),
        mode="wall" if samples.get("weightType", "samples") == "samples" else "retained",
        title=sound(str(thread.get("name", ""))),
        interval=interval,
        starts_us=[each - starts[0] for each in starts] or None,
        source=NAME,
    )


def _times(samples: Mapping[str, object], size: int) -> Sequence[int]:
    """When each sample began in microseconds, never falling, or nothing where not all say so."""
    listed = samples.get("time")
    if not isinstance(listed, list) or len(listed) != size:
        return ()
    times = [round(each * 1000) for each in listed if isinstance(each, int | float) and 0 <= each < 1e300]
    return list(accumulate(times, max)) if len(times) == size else ()


def _table(owner: Mapping[str, object], key: str) -> Mapping[str, object]:
    table = owner.get(key)
    if not isinstance(table, dict):
        raise ProfileError(f"a thread without its {key}")
    return table


def _column(table: Mapping[str, object], key: str) -> Sequence[object]:
    column = table.get(key)
    if not isinstance(column, list):
        raise ProfileError(f"a table of a thread without its column {key}")
    return column


class _Stacks:
    """Follows the tables from a stack's number to its frames, root first."""

    def __init__(self, thread: Mapping[str, object]) -> None:
        table = _table(thread, "stackTable")
        self.prefixes, self.callees = _column(table, "prefix"), _column(table, "frame")
        self.functions = _column(_table(thread, "frameTable"), "func")
        functions = _table(thread, "funcTable")
        self.names, self.files = _column(functions, "name"), _column(functions, "fileName")
        lines = functions.get("lineNumber")
        self.lines: Sequence[object] = lines if isinstance(lines, list) else ()
        strings = thread.get("stringArray")
        self.strings: Sequence[object] = strings if isinstance(strings, list) else ()
        self.frames: dict[Frame, int] = {}
        self.index: dict[tuple[int, ...], int] = {}
        self.known: dict[object, int] = {}

    def add(self, number: object) -> int:
        """The place of a stack among the different ones."""
        if not isinstance(number, int) or number not in self.known:
            stack: list[int] = []
            at = number
            while at is not None:
                stack.append(self._frame(_at(self.callees, at, "frame of a stack")))
                at = _at(self.prefixes, at, "prefix of a stack")
                if len(stack) > len(self.callees):
                    raise ProfileError(f"stack {number} calls itself in a ring")
            self.known[number] = self.index.setdefault(tuple(reversed(stack)), len(self.index))
        return self.known[number]

    def _frame(self, frame: object) -> int:
        function = _at(self.functions, frame, "function of a frame")
        name = _at(self.strings, _at(self.names, function, "name of a function"), "string")
        where = _at(self.files, function, "file of a function")
        file = "" if where is None else _at(self.strings, where, "string")
        line = _at(self.lines, function, "line of a function") if self.lines else 0
        found = Frame(sound(str(name)), sound(str(file)), line if isinstance(line, int) and line > 0 else 0)
        return self.frames.setdefault(found, len(self.frames))


def _at(column: Sequence[object], index: object, what: str) -> object:
    if not isinstance(index, int) or not 0 <= index < len(column):
        raise ProfileError(f"the {what} has the number {index!r}, where there are {len(column)}")
    return column[index]
