"""The backends as this proxy applied them: who may be chosen, who refused just now, what is in flight where."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from addon.counter import Token, Upstream
from addon.sets import Sets
from fleet.backend import Backend, Phase, backend_address
from fleet.canary_cookie import mark_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from addon.balance import Balancer
    from fleet.backend import Network
    from fleet.registry import Snapshot

REST_S = 1.0


class Roster:
    """Upstreams by name and by address. One that did not accept a connection rests before it is chosen again.

    An upstream that left the registry is forgotten when its last request has ended, so that its gauge is reported to
    the end. The same name with another url is another upstream.
    """

    def __init__(self, balance: Callable[[], Balancer], networks: Sequence[Network]) -> None:
        self.generation = 0
        self._balance = Sets(balance)
        self.mark = ""
        self._networks = networks
        self._registered: dict[str, Upstream] = {}
        self._leaving: set[Upstream] = set()
        self._by_address: dict[tuple[str, int], Upstream] = {}
        self._resting: deque[tuple[float, Upstream]] = deque()

    @property
    def available(self) -> int:
        """How many upstreams a request could be sent to now."""
        return len(self._balance)

    @property
    def upstreams(self) -> list[Upstream]:
        """Every upstream that is registered or still has requests in flight, the registered ones last."""
        return [*self._leaving, *self._registered.values()]

    def at(self, address: tuple[str, int]) -> Upstream | None:
        """The upstream with that address."""
        return self._by_address.get(address)

    def apply(self, snapshot: Snapshot) -> None:
        """Take over a generation of the registry."""
        before, self._registered = self._registered, {}
        for backend in snapshot.backends.values():
            if backend.url is not None:
                self._registered[backend.name] = self._upstream(before.get(backend.name), backend, backend.url)
        for known in before.values():
            if self._registered.get(known.name) is not known:
                known.serving = False
                self._leaving.add(known)
        self._leaving = {upstream for upstream in self._leaving if upstream.in_flight}
        self._by_address = {upstream.address: upstream for upstream in self.upstreams}
        self.mark = next((mark_of(one.spec) for one in snapshot.backends.values() if _is_sticky(one)), "")
        self.generation = snapshot.generation
        self._rebalance()

    def choose(self, token: Token, now_s: float) -> Upstream | None:
        """Choose an upstream for the request and count it there; None while there is none to choose."""
        if self._resting and self._resting[0][0] <= now_s:
            self._wake_rested(now_s)
        upstream = self._balance.pick(token.side)
        if upstream is not None:
            token.upstream = upstream
            upstream.in_flight += 1
            upstream.arrivals += 1
            self._balance.changed(upstream)
        return upstream

    def release(self, token: Token) -> Upstream | None:
        """Take the request off its upstream, which is returned."""
        upstream = token.upstream
        if upstream is not None:
            token.upstream = None
            upstream.in_flight -= 1
            self._balance.changed(upstream)
            if not upstream.in_flight:
                self._leaving.discard(upstream)
        return upstream

    def rest(self, upstream: Upstream, now_s: float) -> None:
        """Choose this upstream no more for `REST_S`."""
        if all(resting is not upstream for _, resting in self._resting):
            self._resting.append((now_s + REST_S, upstream))
            self._rebalance()

    def wake(self, now_s: float) -> None:
        """Let those be chosen again that have rested."""
        if self._resting and self._resting[0][0] <= now_s:
            self._wake_rested(now_s)

    def _upstream(self, known: Upstream | None, backend: Backend, url: str) -> Upstream:
        if known is None or known.url != url:
            known = Upstream(backend.name, url, backend_address(backend.name, url, self._networks))
        known.weight = backend.weight
        known.canary = backend.canary
        known.serving = backend.phase is Phase.SERVING
        return known

    def _wake_rested(self, now_s: float) -> None:
        while self._resting and self._resting[0][0] <= now_s:
            self._resting.popleft()
        self._rebalance()

    def _rebalance(self) -> None:
        resting = {upstream for _, upstream in self._resting}
        self._balance.replace(
            upstream for upstream in self._registered.values() if upstream.serving and upstream not in resting
        )


def _is_sticky(backend: Backend) -> bool:
    return backend.sticky and backend.canary and backend.phase is Phase.SERVING
