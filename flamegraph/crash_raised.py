"""Puts the way to the exception beside the samples: its frames from the root, and on top the exception itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from flamegraph.crash_depth import LEFT_OUT, missing_root, rootless, shorten
from flamegraph.crash_document import Place
from flamegraph.crash_path import AROUND, Path, follow, method, same
from flamegraph.groups import stack_weights
from flamegraph.profile import Frame, Profile, Raised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flamegraph.crash_document import Fault
    from flamegraph.crash_path import Lines

# Stands where the middle of a backtrace was cut out.
GAP: Final = Place("")


@dataclass(slots=True)
class _Way:
    """The frames from the root, where each place of the backtrace is among them, and the line it was executing."""

    frames: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    lines: dict[int, int] = field(default_factory=dict)

    def add(self, frame: int, line: int = 0) -> None:
        """Go on with the frame of the next place."""
        self.positions.append(len(self.frames))
        self.frames.append(frame)
        if line and frame >= 0:
            self.lines[frame] = line


def raised(profile: Profile, fault: Fault | None, lines: Lines) -> Profile:
    """The profile with the way to the exception, if there is one; what recursion repeats is left out everywhere."""
    frames, stacks, way = list(profile.frames), list(profile.stacks), _Way()
    places = with_gap(fault) if fault else []
    if fault:
        way = _find(frames, stacks, stack_weights(profile), places, lines)
        frames[len(profile.frames) :] = map(named, frames[len(profile.frames) :])
        way.add(len(frames))
        frames.append(Frame(fault.name))
    stack = shorten(way.frames)
    stacks = list(map(shorten, stacks))
    gaps = stack.count(LEFT_OUT)
    if fault and gaps == 1:
        missing = fault.frames - len(places) + len(way.frames) - len(stack) + 1
        frames.append(Frame(f"… {missing:,} frames left out"))
    elif gaps or any(LEFT_OUT in each for each in stacks):
        frames.append(Frame("… frames left out"))
    last = len(frames) - 1
    stack = _filled(stack, last)
    different: dict[tuple[int, ...], int] = {}
    renamed = [different.setdefault(_filled(each, last), len(different)) for each in stacks]
    order = [renamed[each] for each in profile.order]
    return replace(profile, frames=frames, stacks=list(different), order=order, raised=Raised(stack, way.lines))


def with_gap(fault: Fault) -> list[Place]:
    """The places of a backtrace; what was cut out of it stood in its middle."""
    places = list(fault.places)
    if fault.cut or fault.frames > len(places):
        places.insert(len(places) // 2, GAP)
    return places


def _filled(stack: tuple[int, ...], gap: int) -> tuple[int, ...]:
    return tuple([gap if frame == LEFT_OUT else frame for frame in stack]) if LEFT_OUT in stack else stack


def _find(
    frames: list[Frame],
    stacks: list[tuple[int, ...]],
    weights: Sequence[float],
    places: Sequence[Place],
    lines: Lines,
) -> _Way:
    """The way through the stacks, and frames for what was not sampled; stacks that lost their root get it back."""
    known = places[: places.index(GAP)] if GAP in places else places
    way = _way(follow(known, frames, stacks, weights, lines), places, frames)
    roots = {stack[0] for stack in stacks if stack and not rootless(stack, set())}
    lost = [index for index, stack in enumerate(stacks) if rootless(stack, roots)]
    if not lost:
        return way
    for index in lost:
        at = missing_root(stacks[index], frames, known)
        stacks[index] = (*(way.frames[: way.positions[at]] if at else [LEFT_OUT]), *stacks[index])
    shifted = {stack: each for stack, each in lines.items() if stack not in lost}
    return _way(follow(known, frames, stacks, weights, shifted), places, frames)


def _way(path: Path, places: Sequence[Place], frames: list[Frame]) -> _Way:
    """The sampled part and, behind it, a frame for each place that was not sampled; new ones join `frames`."""
    way = _Way(list(path.frames), list(path.matched))
    named: dict[Place, int] = {}
    for place, position in zip(places, path.matched, strict=False):
        named[place] = path.frames[position]
        if place.line:
            way.lines[path.frames[position]] = place.line
    by_method: dict[str, list[Frame]] = {}
    for frame in frames:
        by_method.setdefault(method(frame.name), []).append(frame)
    below = places[len(path.matched) - 1] if path.matched else GAP
    for place in places[len(path.matched) :]:
        if place is GAP:
            way.add(LEFT_OUT)
            continue
        if place not in named:
            named[place] = len(frames)
            frames.append(Frame(_label(place, below, by_method.get(method(place.label), ())), place.file, place.line))
        way.add(named[place], place.line)
        below = place
    return way


def _label(place: Place, below: Place, alike: Sequence[Frame]) -> str:
    # A C function has its caller's place, so a method of its name in that file is another one.
    in_c = (place.file, place.line) == (below.file, below.line)
    owners = [each for each in alike if each.file and each.file[0] not in "<(" and same(place, each)]
    around = AROUND.match(place.label)
    if in_c or not owners or around is None or "#" in place.label or "." in place.label:
        return place.label
    return around[0] + AROUND.sub("", max(owners, key=lambda each: each.line).name, count=1)


def named(frame: Frame) -> Frame:
    """A frame of the backtrace alone says its line: until Ruby 3.3 its name is hardly more than `call`."""
    return replace(frame, name=f"{frame.name} {frame.file.rpartition('/')[2]}:{frame.line}") if frame.line else frame
