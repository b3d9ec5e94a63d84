"""Which backend gets the next request.

Pure structures, prepared when the fleet changes, so that a choice costs the same with ten thousand backends as with
three.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from itertools import count
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from addon.counter import Upstream

ROUND = 1 << 32


class Balancer(Protocol):
    """Chooses among the upstreams it was given. An upstream of weight 0 is never chosen."""

    def __len__(self) -> int:
        """How many can be chosen."""

    def replace(self, upstreams: Iterable[Upstream]) -> None:
        """Choose among these from now on; those that stay keep their turn."""

    def pick(self) -> Upstream | None:
        """The upstream for the next request."""

    def changed(self, upstream: Upstream) -> None:
        """Requests in flight on this upstream have changed."""


class RoundRobin:
    """Smooth weighted round robin: earliest deadline first, where each choice moves a deadline by 1/weight.

    Upstreams of one weight start spread over a whole turn, so that equal ones rotate and a heavy one is interleaved.
    """

    def __init__(self) -> None:
        self._queue: list[tuple[int, int, int, Upstream]] = []
        self._now = 0
        self._order = count()

    def __len__(self) -> int:
        return len(self._queue)

    def replace(self, upstreams: Iterable[Upstream]) -> None:
        """Choose among these; one whose weight is new starts its turn anew."""
        known = {entry[3]: entry for entry in self._queue}
        kept: list[tuple[int, int, int, Upstream]] = []
        fresh: dict[int, list[Upstream]] = {}
        for upstream in upstreams:
            stride = ROUND // upstream.weight if upstream.weight else 0
            entry = known.get(upstream)
            if entry is not None and entry[2] == stride:
                kept.append(entry)
            elif stride:
                fresh.setdefault(stride, []).append(upstream)
        for stride, group in fresh.items():
            for place, upstream in enumerate(group, start=1):
                kept.append((self._now + stride * place // len(group), next(self._order), stride, upstream))
        heapq.heapify(kept)
        self._queue = kept

    def pick(self) -> Upstream | None:
        """The upstream whose deadline is the earliest."""
        queue = self._queue
        if not queue:
            return None
        deadline, order, stride, upstream = queue[0]
        self._now = deadline
        heapq.heapreplace(queue, (deadline + stride, order, stride, upstream))
        return upstream

    def changed(self, upstream: Upstream) -> None:
        """Nothing: this balance does not look at requests in flight."""


class LeastInFlight:
    """The fewest requests in flight per weight; among equals the one that has waited longest at that level.

    Upstreams lie in one ordered group per level of load. A finished or new request moves one upstream between two
    groups; the levels are few, because they are small numbers over at most 256 weights.
    """

    def __init__(self) -> None:
        self._groups: dict[float, OrderedDict[Upstream, None]] = {}
        self._levels: list[float] = []
        self._level: dict[Upstream, float] = {}

    def __len__(self) -> int:
        return len(self._level)

    def replace(self, upstreams: Iterable[Upstream]) -> None:
        """Choose among these; those that stay keep their place among equals."""
        wanted = dict.fromkeys(upstream for upstream in upstreams if upstream.weight)
        for upstream in [known for known in self._level if known not in wanted]:
            del self._groups[self._level.pop(upstream)][upstream]
        for upstream in wanted:
            if upstream in self._level:
                self.changed(upstream)
            else:
                self._place(upstream)

    def pick(self) -> Upstream | None:
        """The first upstream of the lowest level."""
        levels, groups = self._levels, self._groups
        while levels:
            group = groups[levels[0]]
            if group:
                upstream = next(iter(group))
                group.move_to_end(upstream)
                return upstream
            del groups[heapq.heappop(levels)]
        return None

    def changed(self, upstream: Upstream) -> None:
        """Move the upstream to the level of its load."""
        level = self._level.get(upstream)
        if level is not None and level != (upstream.in_flight + 1) / upstream.weight:
            del self._groups[level][upstream]
            self._place(upstream)

    def _place(self, upstream: Upstream) -> None:
        level = (upstream.in_flight + 1) / upstream.weight
        group = self._groups.get(level)
        if group is None:
            group = self._groups[level] = OrderedDict()
            heapq.heappush(self._levels, level)
        group[upstream] = None
        self._level[upstream] = level


def balancer(kind: str) -> Balancer:
    """The balancer that the setting `proxy.balance` names."""
    return RoundRobin() if kind == "round_robin" else LeastInFlight()
