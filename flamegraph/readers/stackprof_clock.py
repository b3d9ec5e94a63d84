"""What the times of a stackprof dump say: when each entry began, and where recording may have begun anew.

A request that raises leaves its samples to the next recording of its process. Such a dump has a long pause between
the two, or at least a step that nothing explains: a delta counts from the start of recording, a timestamp does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from flamegraph.readers.stackprof_raw import PackedIntegers

# A step between a timestamp and its delta of this share of an interval is more than the time of taking a sample.
STEP_SHARE: Final = 0.7
# A missed sample makes a step of one interval and a little.
MISSED_SHARE: Final = 0.1

# More steps than these are the noise of a busy machine.
MOST_STEPS: Final = 2


@dataclass(frozen=True, slots=True)
class Clock:
    """`starts` are the times of the entries, never falling; the others are one for each sample, as in the dump."""

    starts: Sequence[int]
    times: Sequence[int]
    deltas: object
    firsts: Sequence[int]
    interval: int
    missed: int

    def restart(self, towers: set[int], order: Sequence[int]) -> int | None:
        """The entry before which the largest step lies that neither GC nor a missed sample explains."""
        deltas = _integers(self.deltas)
        if len(deltas) != len(self.times) or min(deltas) < 0 or not self.interval:
            return None
        found: list[tuple[int, int]] = []
        for entry in range(1, len(order)):
            if order[entry] in towers or order[entry - 1] in towers:
                continue
            at = self.firsts[entry]
            found.append((self.times[at] - self.times[at - 1] - deltas[at], entry))
        steps = [each for each in found if each[0] >= STEP_SHARE * self.interval]
        missing = [each for each in steps if self._is_missed(each[0])][: self.missed]
        left = [each for each in steps if each not in missing]
        return max(left)[1] if 0 < len(left) <= MOST_STEPS else None

    def _is_missed(self, step: int) -> bool:
        times, rest = divmod(step, self.interval)
        return times > 0 and rest <= MISSED_SHARE * self.interval * times


def read_clock(table: Mapping[object, object], mode: str, counts: Sequence[int], warnings: list[str]) -> Clock | None:
    """The times of a dump whose mode has any; a warning where they are not one for each sample."""
    times = _integers(table.get("raw_sample_timestamps"))
    if mode not in ("wall", "cpu") or not times or not counts:
        return None
    if len(times) != sum(counts):
        warnings.append(f"{len(times)} timestamps for {sum(counts)} samples: times are left out")
        return None
    firsts = list(accumulate(counts[:-1], initial=0))
    interval, missed = table.get("interval"), table.get("missed_samples")
    return Clock(
        # The samples of one garbage collection share its start, which may lie before the sample before them.
        starts=list(accumulate(map(times.__getitem__, firsts), max)),
        times=times,
        deltas=table.get("raw_timestamp_deltas"),
        firsts=firsts,
        interval=interval if isinstance(interval, int) else 0,
        missed=missed if isinstance(missed, int) and missed > 0 else 0,
    )


def _integers(value: object) -> Sequence[int]:
    if isinstance(value, PackedIntegers):
        return value.decoded()
    if isinstance(value, list) and all(isinstance(each, int) for each in value):
        return value
    return ()
