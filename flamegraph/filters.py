"""Profiles into profiles: what to keep, what to fold together, and what a sample weighs."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from flamegraph.collector import towers
from flamegraph.pause import longest_pause
from flamegraph.profile import Profile, ProfileError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Weight = Literal["samples", "time", "objects"]
Gc = Literal["separate", "attach", "drop"]

# Recursion through up to so many methods is found; runs of longer cycles are left as they are.
LONGEST_CYCLE: Final = 8
Stack = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Filters:
    """What to do with a profile before it is drawn, in the order in which it is done."""

    last_segment: bool = False
    gc: Gc = "separate"
    weight: Weight = "samples"
    only: str = ""
    root: str = ""
    hide: str = ""
    hide_rails_noise: bool = False
    merge_recursion: bool = False


def apply(profile: Profile, filters: Filters) -> Profile:
    """Do all that the filters ask for; raises ProfileError where the profile has not what one needs."""
    if filters.last_segment:
        profile = last_segment(profile)
    profile = place_gc(profile, filters.gc)
    profile = weigh(profile, filters.weight)
    if filters.only:
        found = _matching(profile, filters.only, "--only")
        profile = change_stacks(profile, lambda stack: stack if not found.isdisjoint(stack) else None)
    if filters.root:
        profile = from_root(profile, _matching(profile, filters.root, "--root"))
    if filters.hide:
        hidden = _matching(profile, filters.hide, "--hide")
        profile = change_stacks(profile, lambda stack: tuple([each for each in stack if each not in hidden]) or None)
    if filters.hide_rails_noise:
        from flamegraph.rails_noise import fold_noise

        profile = fold_noise(profile)
    return change_stacks(profile, without_recursion) if filters.merge_recursion else profile


def change_stacks(profile: Profile, change: Callable[[Stack], Stack | None]) -> Profile:
    """The profile with each stack changed; entries whose stack becomes None are left out, and their times with them."""
    index: dict[Stack, int] = {}
    renamed: list[int] = []
    for stack in profile.stacks:
        changed = change(stack)
        renamed.append(-1 if changed is None else index.setdefault(changed, len(index)))
    if profile.raised is not None:
        profile = replace(profile, raised=replace(profile.raised, stack=change(profile.raised.stack) or ()))
    return _select(replace(profile, stacks=list(index)), [renamed[each] for each in profile.order])


def _select(profile: Profile, order: Sequence[int]) -> Profile:
    """The entries whose stack is not -1, under the given stacks."""
    kept = [entry for entry, index in enumerate(order) if index >= 0]
    if len(kept) == len(order):
        return replace(profile, order=order)
    after = profile.weights_after
    return replace(
        profile,
        order=[order[entry] for entry in kept],
        weights=[profile.weights[entry] for entry in kept],
        weights_after=None if after is None else [after[entry] for entry in kept],
        samples=None,
        gc_samples=None,
        starts_us=None,
        stopped_us=None,
        restart=None,
    )


def _matching(profile: Profile, pattern: str, option: str) -> frozenset[int]:
    """The frames whose name or file the pattern finds."""
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise ProfileError(f"{option}: {pattern!r} is not a regular expression: {error}") from None
    return frozenset(index for index, frame in enumerate(profile.frames) if search(frame.name) or search(frame.file))


def from_root(profile: Profile, roots: frozenset[int]) -> Profile:
    """The profile from the outermost of these frames down; stacks without one are left out."""

    def cut(stack: Stack) -> Stack | None:
        for depth, frame in enumerate(stack):
            if frame in roots:
                return stack[depth:]
        return None

    return change_stacks(profile, cut)


def without_recursion(stack: Stack) -> Stack:
    """The stack with each repeated run of frames once: `a b a b c` becomes `a b c`."""
    kept: list[int] = []
    for frame in stack:
        kept.append(frame)
        for size in range(1, LONGEST_CYCLE + 1):
            if kept[-size:] == kept[-2 * size : -size]:
                del kept[-size:]
                break
    return tuple(kept)


def place_gc(profile: Profile, gc: Gc) -> Profile:
    """Leave the towers of the garbage collection where they are, put each on the stack before it, or drop them."""
    if gc == "separate":
        return profile
    of_gc = towers(profile.frames, profile.stacks)
    if not of_gc:
        return profile
    if gc == "drop":
        return _select(profile, [-1 if index in of_gc else index for index in profile.order])
    stacks = {stack: index for index, stack in enumerate(profile.stacks)}
    order: list[int] = []
    below: Stack = ()
    for index in profile.order:
        stack = profile.stacks[index]
        if index in of_gc:
            order.append(stacks.setdefault(below + stack, len(stacks)))
        else:
            below = stack
            order.append(index)
    return replace(profile, stacks=list(stacks), order=order)


def last_segment(profile: Profile) -> Profile:
    """Only what came after the longest pause, where an earlier request left its samples in the recording."""
    at, pause = longest_pause(profile)
    said = f"a pause of {pause / 1000:g} ms"
    if not at and profile.restart is not None:
        at, said = profile.restart, "a step of the clock"
    if not at or profile.starts_us is None:
        note = f"--last-segment: no pause parts the samples (the longest is {pause / 1000:g} ms)"
        if profile.starts_us is None:
            note = "--last-segment: the profile has no times, so no pause can be seen"
        return replace(profile, warnings=[*profile.warnings, note])
    first = profile.starts_us[at]
    note = f"the {sum(profile.weights[:at])} samples before {said} are left out"
    return replace(
        profile,
        order=profile.order[at:],
        weights=profile.weights[at:],
        starts_us=[each - first for each in profile.starts_us[at:]],
        stopped_us=None if profile.stopped_us is None else profile.stopped_us - first,
        warnings=[*(each for each in profile.warnings if "--last-segment" not in each), note],
        restart=None,
    )


def weigh(profile: Profile, weight: Weight) -> Profile:
    """What each entry weighs: its samples, the time until the next one, or the objects that it stands for."""
    if weight == "time":
        return _by_time(profile)
    if weight == "objects":
        if profile.mode != "object" or not profile.interval:
            raise ProfileError(
                "--weight objects needs a profile of mode object, this is " + (profile.mode or "another")
            )
        return replace(profile, unit="objects", weights=[each * profile.interval for each in profile.weights])
    return profile


def _by_time(profile: Profile) -> Profile:
    if profile.unit.endswith("seconds"):
        return profile
    if profile.mode not in ("wall", ""):
        raise ProfileError(f"--weight time needs a profile of mode wall: in mode {profile.mode} times do not add up")
    if profile.starts_us is None:
        raise ProfileError("--weight time needs timestamps, which stackprof writes since 0.2.18: use --weight samples")
    starts = profile.starts_us
    end = profile.stopped_us if profile.stopped_us is not None else starts[-1] + (profile.interval or 0)
    lasting = [max(later - start, 0) for start, later in zip(starts, [*starts[1:], end], strict=True)]
    return replace(profile, unit="microseconds", weights=lasting, samples=int(sum(profile.weights)))
