"""Requests that wait while nothing serves: bounded, let go in the order of their arrival and in steps.

A step is `step` requests for each backend that can be chosen. A request leaves its step when its answer begins, when
it ends, or after `STEP_S`, so that a fresh backend is not met by everything that had waited, and slow answers or event
streams do not keep the rest waiting. It doubles with every second in which some still wait: otherwise the queue would
never end where more arrive than one step lets go.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from addon.counter import Token

STEP_S = 0.25
DOUBLING_S = 1.0


class Verdict(Enum):
    """How a request's waiting ended."""

    RELEASED = "released"
    REFUSED = "refused"
    GONE = "gone"


class Hold:
    """The queue; `available` tells how many backends can be chosen, `noticed` hears when held goes from 0 to 1."""

    def __init__(
        self, *, limit: int, hold_s: float, step: int, available: Callable[[], int], noticed: Callable[[], None]
    ) -> None:
        self._limit = limit
        self._hold_s = hold_s
        self._step = step
        self._available = available
        self._noticed = noticed
        self._waiting: dict[Token, asyncio.Future[Verdict]] = {}
        self._under_way: dict[Token, asyncio.TimerHandle] = {}
        self._began_s: float | None = None
        self.open = True

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def stepping(self) -> bool:
        """Whether requests that were let go have not been answered yet."""
        return bool(self._under_way)

    async def wait(self, token: Token) -> Verdict:
        """Wait for a place in a step: RELEASED, REFUSED at the limits or when closed, GONE without its client."""
        if not self.open or len(self._waiting) >= self._limit:
            return Verdict.REFUSED
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Verdict] = loop.create_future()
        expiry = loop.call_at(token.started_s + self._hold_s, _settle, future, Verdict.REFUSED)
        self._waiting[token] = future
        if len(self._waiting) == 1:
            self._noticed()
        self.release()
        try:
            return await future
        finally:
            expiry.cancel()
            self._waiting.pop(token, None)

    def release(self) -> None:
        """Let go what fits in the step."""
        available = self._available()
        if not (self._waiting and available):
            self._began_s = None
            return
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        if self._began_s is None:
            self._began_s = now_s
        places = available * self._step << int((now_s - self._began_s) / DOUBLING_S)
        while self._waiting and len(self._under_way) < places:
            token, future = next(iter(self._waiting.items()))
            del self._waiting[token]
            if not future.done():
                self._under_way[token] = loop.call_later(STEP_S, self.answered, token)
                future.set_result(Verdict.RELEASED)

    def answered(self, token: Token) -> None:
        """The request's answer began, or it ended: the next may go."""
        timer = self._under_way.pop(token, None)
        if timer is not None:
            timer.cancel()
            self.release()

    def abandon(self, client: str) -> None:
        """Drop what this client waited for: it is gone."""
        for token, future in self._waiting.items():
            if token.client == client:
                _settle(future, Verdict.GONE)

    def close(self) -> None:
        """Refuse all that waits, and all that comes."""
        self.open = False
        for future in self._waiting.values():
            _settle(future, Verdict.REFUSED)


def _settle(future: asyncio.Future[Verdict], verdict: Verdict) -> None:
    if not future.done():
        future.set_result(verdict)
