"""Two sets of backends, each balanced by itself: the stable one, and a canary's, which gets its share of requests.

The share is that of the weights, in either way of balancing: by load alone a canary that is to get little would get
nothing as long as others are idle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from addon.counter import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from addon.balance import Balancer


class Sets:
    """Without a canary this is one balancer; with one, and where one set is empty, all go to the other."""

    def __init__(self, make: Callable[[], Balancer]) -> None:
        self._stable = make()
        self._canary = make()
        self._share = 0.0
        self._due = 0.0

    def __len__(self) -> int:
        """How many upstreams can be chosen."""
        return len(self._stable) + len(self._canary)

    def replace(self, upstreams: Iterable[Upstream]) -> None:
        """Choose among these from now on."""
        stable, canaries = list[Upstream](), list[Upstream]()
        for upstream in upstreams:
            (canaries if upstream.canary else stable).append(upstream)
        ours, theirs = (sum(upstream.weight for upstream in one) for one in (canaries, stable))
        self._share = ours / (ours + theirs) if ours else 0.0
        self._stable.replace(stable)
        self._canary.replace(canaries)

    def pick(self, side: bool | None = None) -> Upstream | None:  # noqa: FBT001  # which of two, or whichever is due
        """The upstream for the next request; of the canary's set if `side` is True, of the stable one if False."""
        if not self._share:
            return self._stable.pick()
        if side is None:
            self._due += self._share
            side = self._due >= 1
            if side:
                self._due -= 1
        first, other = (self._canary, self._stable) if side else (self._stable, self._canary)
        return first.pick() or other.pick()

    def changed(self, upstream: Upstream) -> None:
        """Requests in flight on this upstream have changed."""
        (self._canary if upstream.canary else self._stable).changed(upstream)
