"""How long each sample of a request stands for, out of times alone: a count of samples knows nothing of waiting.

A thread that waits is sampled once, when it has begun to: the signals that follow find that sample not yet written
down. So a sample lasts until the next one; the first from the request's start, the last until its end. Where stackprof
samples in a postponed job (Ruby 3.2.0, and YJIT before 3.3), a wait is sampled once when it is over. So a long time
belongs to the sample at its end, where that one stands in a C function, the other one does not, and no collector ran.
The samples of one garbage collection carry the time of its start and come late, so samples are put in order and those
of one time share it. Samples from before the start are another request's: they are cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from flamegraph.collector import NAMES

if TYPE_CHECKING:
    from flamegraph.profile import Frame

# So many intervals without a sample are a wait, or a call that was not to be interrupted.
WAIT_INTERVALS: Final = 5


@dataclass(frozen=True, slots=True)
class Span:
    """The samples of one request: the stack of each and its time; `foreign` counts those that were cut off."""

    order: Sequence[int]
    times: Sequence[int]
    foreign: int


def own(order: Sequence[int], counts: Sequence[int], times: Sequence[int], started: int) -> Span:
    """Those since the start, in the order of time; `times` are as many as the counts add up to."""
    owners = [stack for stack, count in zip(order, counts, strict=True) for _ in range(count)]
    kept = sorted(
        ((time, stack) for stack, time in zip(owners, times, strict=True) if time >= started), key=itemgetter(0)
    )
    return Span([stack for _, stack in kept], [time for time, _ in kept], len(owners) - len(kept))


def lasting(span: Span, leaves: Sequence[Frame | None], started: int, stopped: int, interval: int) -> list[int]:
    """How long each sample lasts, in microseconds; together as long as the request. `leaves` has one for each stack."""
    if not span.order:
        return []
    bounds = [started, *(min(time, stopped) for time in span.times[1:]), stopped]
    lengths = [later - earlier for earlier, later in pairwise(bounds)]
    for at in range(len(lengths) - 1):
        before, after = leaves[span.order[at]], leaves[span.order[at + 1]]
        if lengths[at] > WAIT_INTERVALS * interval and _waits(after) and not _waits(before) and not _collects(before):
            # What is left is the interval after which the next signal came.
            lengths[at + 1] += lengths[at] - interval
            lengths[at] = interval
    return _shared(lengths, span.times)


def _shared(lengths: Sequence[int], times: Sequence[int]) -> list[int]:
    """The lengths, where samples of one time have equal ones; what does not divide is the last one's."""
    shared: list[int] = []
    for _, run in groupby(zip(times, lengths, strict=True), key=itemgetter(0)):
        each = [length for _, length in run]
        part, rest = divmod(sum(each), len(each))
        shared += [part] * (len(each) - 1) + [part + rest]
    return shared


def _waits(leaf: Frame | None) -> bool:
    return leaf is not None and leaf.file.startswith("<")


def _collects(leaf: Frame | None) -> bool:
    return leaf is not None and leaf.name in NAMES and not leaf.file


def joined(
    order: Sequence[int], lengths: Sequence[int], times: Sequence[int]
) -> tuple[list[int], list[int], list[int]]:
    """The same with neighbours of one stack as one entry: its stack, its length, its first time."""
    stacks: list[int] = []
    sums: list[int] = []
    firsts: list[int] = []
    for stack, length, time in zip(order, lengths, times, strict=True):
        if stacks and stacks[-1] == stack:
            sums[-1] += length
        else:
            stacks.append(stack)
            sums.append(length)
            firsts.append(time)
    return stacks, sums, firsts
