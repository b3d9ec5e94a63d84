"""Read speedscope's own JSON, sampled and evented, as rbspy, pyinstrument and speedscope itself write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flamegraph.profile import Frame, Profile, ProfileError
from flamegraph.readers.choice import choose
from flamegraph.readers.json_text import loads
from flamegraph.readers.text import sound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flamegraph.readers.detect import ReadOptions

NAME: Final = "speedscope"
UNITS: Final = {"none": "samples", "bytes": "bytes"}
MICROSECONDS: Final = {"nanoseconds": 0.001, "microseconds": 1, "milliseconds": 1000, "seconds": 1_000_000}


def detect(data: bytes) -> bool:
    """Whether the schema is named, or both of the keys that it asks for are there."""
    return b"speedscope.app/file-format-schema" in data or (b'"profiles"' in data and b'"shared"' in data)


def read(data: bytes, options: ReadOptions) -> Profile:
    """Read one of the file's profiles, the active one by default, or all."""
    match loads(data):
        case {"shared": {"frames": list(listed)}, "profiles": list(profiles), **rest}:
            pass
        case _:
            raise ProfileError("JSON without speedscope's shared frames and profiles")
    frames = [_frame(entry, at) for at, entry in enumerate(listed)]
    names = [_text(profile, "name") or "without a name" for profile in profiles]
    active = rest.get("activeProfileIndex")
    default = active if isinstance(active, int) else 0
    title = _text(rest, "name")
    return choose(names, lambda index: _profile(profiles[index], frames, title), options.profile, default)


def _text(table: object, key: str) -> str:
    value = table.get(key) if isinstance(table, dict) else None
    return sound(value) if isinstance(value, str) else ""


def _frame(entry: object, at: int) -> Frame:
    if not isinstance(entry, dict):
        raise ProfileError(f"frame {at} is not an object")
    line = entry.get("line")
    return Frame(_text(entry, "name"), _text(entry, "file"), line if isinstance(line, int) and line > 0 else 0)


def _profile(table: object, frames: Sequence[Frame], title: str) -> Profile:
    if not isinstance(table, dict):
        raise ProfileError("a profile that is not an object")
    unit = table.get("unit", "none")
    match table:
        case {"type": "sampled", "samples": list(samples), "weights": list(weights)}:
            found = _sampled(samples, weights, len(frames))
        case {"type": "evented", "events": list(events)}:
            found = _evented(events, len(frames))
        case _:
            raise ProfileError("a profile that is neither sampled, with samples and weights, nor evented, with events")
    stacks, order, weighed = found
    scale = MICROSECONDS.get(unit) if isinstance(unit, str) else None
    starts: list[int] | None = None
    if scale is not None:
        unit = "microseconds"
        weighed = [_whole(weight * scale) for weight in weighed]
        starts, now = [], 0.0
        for weight in weighed:
            starts.append(round(now))
            now += weight
    return Profile(
        frames=frames,
        stacks=stacks,
        order=order,
        weights=weighed,
        unit=UNITS.get(str(unit), sound(str(unit))),
        title=title or _text(table, "name"),
        starts_us=starts,
        stopped_us=None if starts is None else round(now),
        source=NAME,
    )


def _whole(weight: float) -> int | float:
    return int(weight) if weight == int(weight) else weight


Found = tuple[list[tuple[int, ...]], list[int], list[int | float]]


def _sampled(samples: Sequence[object], weights: Sequence[object], frames: int) -> Found:
    if len(samples) != len(weights):
        raise ProfileError(f"{len(samples)} samples, but {len(weights)} weights")
    index: dict[tuple[int, ...], int] = {}
    order: list[int] = []
    found: list[int | float] = []
    for at, (sample, weight) in enumerate(zip(samples, weights, strict=True)):
        if not _is_number(weight) or weight < 0:  # type: ignore[operator]
            raise ProfileError(f"sample {at} weighs {weight!r}, which is not a number from 0 on")
        if not isinstance(sample, list) or not all(_is_index(each, frames) for each in sample):
            raise ProfileError(f"sample {at} names a frame that is not one of the {frames}")
        if weight:
            order.append(index.setdefault(tuple(sample), len(index)))
            found.append(weight)  # type: ignore[arg-type]
    return list(index), order, found


def _evented(events: Sequence[object], frames: int) -> Found:
    index: dict[tuple[int, ...], int] = {}
    order: list[int] = []
    found: list[int | float] = []
    stack: list[int] = []
    before: int | float = 0
    for at, event in enumerate(events):
        kind, frame, now = _event(event, at, frames)
        if at and now < before:
            raise ProfileError(f"event {at} is at {now}, before the one before it at {before}")
        if stack and now > before:
            order.append(index.setdefault(tuple(stack), len(index)))
            found.append(now - before)
        before = now
        if kind == "O":
            stack.append(frame)
        elif stack and stack[-1] == frame:
            stack.pop()
        else:
            top = stack[-1] if stack else "none"
            raise ProfileError(f"event {at} closes frame {frame}, where {top} is open")
    if stack:
        raise ProfileError(f"frame {stack[-1]} is never closed: the profile is not complete")
    return list(index), order, found


def _event(event: object, at: int, frames: int) -> tuple[str, int, int | float]:
    match event:
        case {"type": "O" | "C" as kind, "frame": frame, "at": now} if _is_index(frame, frames) and _is_number(now):
            return kind, frame, now
    raise ProfileError(f"event {at} has no type O or C, no frame of the {frames}, or no time")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _is_index(value: object, count: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < count
