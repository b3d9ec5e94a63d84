"""Times without samples, which part the recording of one request from what another one left behind."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flamegraph.profile import Profile

# A pause of so many intervals, and of so many microseconds, is more than one slow call that hid some signals; on the
# CPU's clock also more than a sleep, during which none come.
GAP_INTERVALS: Final = 20
GAP_US: Final = {"wall": 5_000, "cpu": 100_000}
# One of this length is worth a warning to who did not ask.
WARNED_US: Final = 250_000


def longest_pause(profile: Profile) -> tuple[int, int]:
    """The entry after the longest time without samples, or 0 where none is long, and that time in microseconds."""
    starts, interval = profile.starts_us, profile.interval
    if not starts or not interval or len(starts) < 2:
        return 0, 0
    lasting = [
        later - start - int(weight - 1) * interval
        for (start, later), weight in zip(pairwise(starts), profile.weights, strict=False)
    ]
    pause = max(lasting)
    least = max(GAP_INTERVALS * interval, GAP_US.get(profile.mode, 0))
    return (lasting.index(pause) + 1 if pause > least else 0), pause


def warned(profile: Profile) -> Profile:
    """The profile with a warning where samples of an earlier request may be in it."""
    at, pause = longest_pause(profile)
    if not at or profile.mode != "wall" or pause < WARNED_US:
        return profile
    note = (
        f"no samples for {pause / 1000:.0f} ms: the {sum(profile.weights[:at])} before may be of a request that "
        "crashed earlier; --last-segment leaves them out"
    )
    return replace(profile, warnings=[*profile.warnings, note])
