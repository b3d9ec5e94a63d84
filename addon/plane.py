"""The data plane apart from mitmproxy: from a request's arrival to its end, over roster, queue and counters."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from addon.balance import balancer
from addon.counter import Moment, Token, Totals, Upstream, reading
from addon.forward import Forwarder
from addon.hold import Hold, Verdict
from addon.roster import REST_S, Roster

if TYPE_CHECKING:
    from collections.abc import Callable

    from addon.access import Witness
    from fleet.registry import ProxyReading, Snapshot
    from fleet.settings import Settings

NOTHING: dict[Token, None] = {}


class Plane:
    """One proxy's state. `news` is set when a report should not wait for its turn."""

    def __init__(self, settings: Settings, proxy_id: str) -> None:
        proxy = settings.proxy
        self.id = proxy_id
        self.started_s = monotonic()
        self.roster = Roster(lambda: balancer(proxy.balance), settings.networks)
        self.totals = Totals()
        # Another plane, after a reload of the script, must not end what this one began.
        self.key = f"stoker-{self.totals.series}"
        self.forwarder = Forwarder(proxy.trusted_proxies, settings.token(), settings.crashes.profile_share)
        self.news = asyncio.Event()
        self.held_news = False
        self.draining = False
        self.drained = asyncio.Event()
        # Told of each end, with the status, while the token still names its backend.
        self.observers: tuple[Callable[[Token, int], None], ...] = ()
        self.witness: Witness | None = None
        self.hold = Hold(
            limit=proxy.hold_max,
            hold_s=proxy.hold_s,
            step=proxy.hold_release,
            available=lambda: self.roster.available,
            noticed=self._notice_held,
        )
        self._clients: dict[str, dict[Token, None]] = {}

    @property
    def generation(self) -> int:
        """The one that is applied."""
        return self.roster.generation

    @property
    def busy(self) -> bool:
        """Whether any request is under way."""
        return any(self._clients.values())

    def arrive(self, client: str) -> Token:
        """Count a request whose headers have arrived."""
        self.totals.arrivals += 1
        token = Token(client, monotonic())
        mine = self._clients.get(client)
        if mine is None:
            mine = self._clients[client] = {}
        mine[token] = None
        return token

    def choose(self, token: Token) -> Upstream | None:
        """A backend for the request at once; None if it has to wait, for one or behind others."""
        if len(self.hold):
            return None
        return self.roster.choose(token, token.started_s)

    async def wait(self, token: Token) -> Upstream | None:
        """Hold the request until a backend is chosen for it; None at the limits, or when its client is gone."""
        while not token.ended and not (self.draining and not self.roster.available):
            if await self.hold.wait(token) is not Verdict.RELEASED or token.ended:
                break
            now_s = monotonic()
            upstream = self.roster.choose(token, now_s)
            if upstream is not None:
                token.held_s = now_s - token.started_s
                return upstream
        return None

    def dialling(self, upstream: Upstream, client: str) -> Token | None:
        """The request of that client for which a connection to that backend is about to be opened."""
        for token in self._clients.get(client, ()):
            if token.upstream is upstream and not token.dialled:
                token.dialled = True
                return token
        return None

    async def elsewhere(self, token: Token, *, refused: bool) -> Upstream | None:
        """Move a request away from a backend that did not accept its connection; None if there is no other in time."""
        failed = self.roster.release(token)
        if failed is not None:
            if refused:
                failed.refused += 1
                self.totals.refused += 1
                self.news.set()
            self.roster.rest(failed, monotonic())
            asyncio.get_running_loop().call_later(REST_S, self.let_go)
        if token.ended:
            return None
        return self.roster.choose(token, monotonic()) or await self.wait(token)

    def answering(self, token: Token) -> None:
        """The backend began to answer."""
        if self.hold.stepping:
            self.hold.answered(token)

    def end(self, token: Token, *, status: int, broken: bool = False) -> None:
        """Count a request's end, once. `status` is what the client got, 0 for nothing; `broken` blames the backend."""
        if token.ended:
            return
        token.ended = True
        self._clients.get(token.client, NOTHING).pop(token, None)
        totals = self.totals
        totals.completions += 1
        if status >= 400:
            totals.answered(status)
        for observe in self.observers:
            observe(token, status)
        upstream = self.roster.release(token)
        if upstream is not None:
            upstream.took(monotonic() - token.started_s)
            if broken or status >= 500:
                upstream.errors += 1
        if self.hold.stepping:
            self.hold.answered(token)
        if self.draining and not self.busy:
            self.drained.set()

    def client_gone(self, client: str) -> None:
        """End whatever that client had under way."""
        if len(self.hold):
            self.hold.abandon(client)
        for token in list(self._clients.pop(client, ())):
            self.end(token, status=0)

    def apply(self, snapshot: Snapshot) -> None:
        """Route by this generation from now on, and say so at once."""
        self.roster.apply(snapshot)
        self.hold.release()
        self.news.set()

    def let_go(self) -> None:
        """Let held requests go where that has become possible."""
        self.roster.wake(monotonic())
        self.hold.release()

    def drain(self) -> None:
        """Begin the end: what is held is refused now where nothing serves."""
        self.draining = True
        if not self.roster.available:
            self.hold.close()
        if not self.busy:
            self.drained.set()

    def reading(self) -> ProxyReading:
        """What is reported: counters, and gauges taken now, after the applied generation."""
        uptime_ms = int(1000 * (monotonic() - self.started_s))
        return reading(
            self.totals,
            self.roster.upstreams,
            Moment(self.id, uptime_ms, self.roster.generation, len(self.hold)),
        )

    def _notice_held(self) -> None:
        self.held_news = True
        self.news.set()
