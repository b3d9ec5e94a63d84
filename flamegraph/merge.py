"""Make one profile of several."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from flamegraph.profile import Frame, Profile, ProfileError

if TYPE_CHECKING:
    from collections.abc import Sequence


def merge(named: Sequence[tuple[str, Profile]]) -> Profile:
    """Put the entries of all one after another; times are lost, as each profile counts from its own start.

    Each profile comes with the name to give where it does not fit. Raises ProfileError where modes or units differ,
    or where one has no stacks.
    """
    first_name, first = named[0]
    if len(named) == 1:
        return first
    for name, profile in named[1:]:
        for what, ours, theirs in (("mode", first.mode, profile.mode), ("unit", first.unit, profile.unit)):
            if ours != theirs:
                raise ProfileError(
                    f"{name}: its {what} is {theirs or 'unknown'}, that of {first_name} is {ours or 'unknown'}: "
                    "only profiles of one kind can be merged"
                )
    for name, profile in named:
        if profile.totals or profile.weights_after is not None:
            kind = "aggregated, without stacks" if profile.totals else "differential"
            raise ProfileError(f"{name}: {kind}, which cannot be merged with others")
    profiles = [profile for _, profile in named]
    return replace(
        _joined(profiles),
        title=first.title if len({profile.title for profile in profiles}) == 1 else "",
        missed=_sum([profile.missed for profile in profiles]),
        gc_samples=_sum([profile.gc_samples for profile in profiles]),
        samples=_sum([profile.samples for profile in profiles]),
        warnings=[f"{name}: {each}" for name, profile in named for each in profile.warnings] + _intervals(profiles),
        metadata={},
        starts_us=None,
        stopped_us=None,
        restart=None,
    )


def _joined(profiles: Sequence[Profile]) -> Profile:
    frames: dict[Frame, int] = {}
    stacks: dict[tuple[int, ...], int] = {}
    order: list[int] = []
    for profile in profiles:
        places = [frames.setdefault(frame, len(frames)) for frame in profile.frames]
        renamed = [stacks.setdefault(tuple(map(places.__getitem__, stack)), len(stacks)) for stack in profile.stacks]
        order += map(renamed.__getitem__, profile.order)
    weights = list(chain.from_iterable(profile.weights for profile in profiles))
    return replace(profiles[0], frames=list(frames), stacks=list(stacks), order=order, weights=weights)


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _intervals(profiles: Sequence[Profile]) -> list[str]:
    different = sorted({profile.interval for profile in profiles if profile.interval is not None})
    if len(different) < 2:
        return []
    return [f"the intervals differ ({', '.join(map(str, different))}): samples do not weigh the same"]
