"""An open-loop load: requests leave when they are due, whatever became of the earlier ones."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from stoker.demo.client import Client, Kind

ANSWER_TIMEOUT_S = 60.0
RECENT_S = 5.0


@dataclass(frozen=True, slots=True)
class Ended:
    """One request, over. Times are the clock's; `fault` is "" for the answer that a client may expect."""

    kind: Kind
    sent_at: float
    ended_at: float
    served_by: str = ""
    fault: str = ""


@dataclass(slots=True)
class Load:
    """Sends to one address by a shape: requests a second at a moment since the start. Requests go round `kinds`."""

    client: Client
    now: Callable[[], float]
    kinds: Sequence[Kind] = (Kind.KEPT, Kind.NEW)
    sent: int = 0
    ended: list[Ended] = field(default_factory=list)
    first_answers: dict[str, float] = field(default_factory=dict)
    _recent: deque[Ended] = field(default_factory=deque)

    @property
    def under_way(self) -> int:
        """Requests without an answer yet."""
        return self.sent - len(self.ended)

    @property
    def failed(self) -> list[Ended]:
        """Requests that a client would complain about."""
        return [one for one in self.ended if one.fault]

    @property
    def faults(self) -> Counter[str]:
        """How often each kind of failure came."""
        return Counter(one.fault for one in self.failed)

    def p95_s(self) -> float | None:
        """The time under which 95 of 100 recent requests were answered."""
        while self._recent and self._recent[0].ended_at < self.now() - RECENT_S:
            self._recent.popleft()
        took = sorted(one.ended_at - one.sent_at for one in self._recent)
        return took[int(0.95 * (len(took) - 1))] if took else None

    async def run(
        self, shape: Callable[[float], float], seconds: float, enough: Callable[[], bool] = lambda: False
    ) -> None:
        """Send for that time, or until it is enough, then wait for the last answers."""
        start = self.now()
        async with asyncio.TaskGroup() as tasks:
            for due in moments(shape, seconds):
                await asyncio.sleep(max(0.0, start + due - self.now()))
                if enough():
                    break
                tasks.create_task(self._one(self.kinds[self.sent % len(self.kinds)]))
                self.sent += 1
        self.client.close()

    async def _one(self, kind: Kind) -> None:
        sent_at, served_by, fault = self.now(), "", ""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                served_by = (await self.client.send(kind)).served_by
        except TimeoutError:
            fault = f"{kind}: no answer within {ANSWER_TIMEOUT_S:g} s"
        except (OSError, EOFError, ValueError) as error:
            fault = f"{kind}: {str(error) or type(error).__name__}"
        ended = Ended(kind, sent_at, self.now(), served_by, fault)
        self.ended.append(ended)
        self._recent.append(ended)
        if served_by:
            self.first_answers.setdefault(served_by, ended.ended_at)


def moments(shape: Callable[[float], float], seconds: float) -> Iterator[float]:
    """When each request is due: evenly spaced at the rate that the shape has at that moment."""
    moment = 0.0
    while moment < seconds:
        yield moment
        moment += 1 / max(shape(moment), 0.1)
