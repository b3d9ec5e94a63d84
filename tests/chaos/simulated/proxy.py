"""A proxy with its requests added up: what arrives, what is in flight where, what is held; and what it reports.

It follows the contract of both data planes: it reports before it reads, keeps its snapshot without the store and in a
file, never applies an older generation, and shows its gauges as they are after applying.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.backend import Phase
from fleet.errors import StoreUnavailableError
from fleet.registry import PROXY_TTL_S, Outcomes, ProxyReading, Snapshot
from tests.chaos.simulated.engine import Engine, chance, kind_of
from tests.chaos.simulated.server import Board, Told
from tests.chaos.simulated.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Mapping


# Of these it is known when they were sent, and when by each of them the last request came, was in flight or held.
REPORTS_KEPT = 16
STEP_S = 1.0  # reports are half as frequent as a real proxy's, so that what the scaler sees is older, never newer
HOLD_S = 30.0
CLIENT_PATIENCE_S = 30.0
HOLD_MAX = 1000
SLOW_S = (1.0, 45.0)
BAD_SHARE, USUAL_SHARE = 0.34, 0.005


@dataclass(slots=True)
class Proxy:
    """`share` of the load is what comes in here. `serves`: requests pass; `agent`: it talks to the store.

    An HAProxy serves on without its agent; a mitmproxy plane is one process. `refuses_news`: it never applies.
    """

    id: str
    kind: str
    seed: int
    board: Board
    engine: Engine
    timeline: Timeline
    arrived: Callable[[float, float], float]
    answer_s: float
    slow_share: float
    wake: Callable[[], None]
    share: float = 1.0
    serves: bool = False
    agent: bool = False
    known: bool = False
    refuses_news_until: float = 0.0
    disk_full: bool = False
    series: int = 0
    life: int = 0
    began: float = 0.0
    at: float = 0.0
    generation: int = 0
    targets: tuple[str, ...] = ()
    file: Snapshot | None = None
    arrivals: float = 0.0
    refused: dict[str, float] = field(default_factory=dict)
    held: list[tuple[float, float]] = field(default_factory=list)
    expired: float = 0.0
    last_request: float = -1e9
    last_report: float = -1e9
    reports: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=REPORTS_KEPT))
    back_at: float = -1e9
    back_after_s: float = 0.0
    rate: float = 0.0
    slow: dict[str, list[float]] = field(default_factory=dict)
    left: dict[str, float] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)  # while a canary is tried
    ended: dict[str, Outcomes] = field(default_factory=dict)
    _slow_due: float = 0.0
    _slow_count: int = 0
    _applied: bool = False
    _reported_held: bool = False

    # Life -------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start it, or for a HAProxy that still serves its agent only."""
        now = self.timeline.now
        self.life += 1
        self.known, self.agent, self._applied = False, True, False
        if not self.serves:
            self.serves, self.at = True, now
            self.series, self.began, self.arrivals, self.refused = self.series + 1, now, 0.0, {}
            self.generation, self.targets = 0, ()
            self.held, self.slow, self.left, self.ended = [], {}, {}, {}
            self._slow_due, self.rate = 0.0, 0.0
        self._contact(start=True)
        self._turn(self.life)

    def kill(self, *, agent_only: bool = False) -> None:
        """SIGKILL, of the agent alone or of all."""
        self.advance()
        self.agent = False
        if not agent_only:
            self.serves = False
            self.slow, self.left, self.held, self.targets = {}, {}, [], ()

    def leave(self) -> None:
        """A clean end."""
        self.kill()
        try:
            self.board.leave()
        except StoreUnavailableError:
            return

    def _turn(self, life: int) -> None:
        if life == self.life and self.agent:
            self._contact()
            self.timeline.after(STEP_S, lambda: self._turn(life))

    def news(self, life: int) -> None:
        """A publication was heard of."""
        if life == self.life and self.agent:
            self._contact()

    def _contact(self, *, start: bool = False) -> None:
        """Report, then read; after applying, report again."""
        self.advance()
        try:
            self._report()
            if self._refresh():
                self._report()
        except StoreUnavailableError:
            if start and self.file is not None and not self._applied:
                self._apply(self.file)

    def _report(self) -> None:
        held_news = self.held and not self._reported_held
        flying = self.flying()
        self.board.report(self._reading(flying), Told(flying, self.refused, self.ended))
        now = self.timeline.now
        if now - self.last_report > PROXY_TTL_S:
            self.back_at, self.back_after_s = now, now - self.last_report
        self.known, self.last_report = True, now
        self.reports.append((now, now if flying or self.held else self.last_request))
        self._reported_held = bool(self.held)
        if held_news:
            self.wake()

    def _refresh(self) -> bool:
        if not self.known or self.timeline.now < self.refuses_news_until:
            return False
        snapshot = self.board.snapshot()
        if snapshot is None or (self._applied and snapshot.generation <= self.generation):
            return False
        self._apply(snapshot)
        if not self.disk_full:
            self.file = snapshot
        return True

    def _apply(self, snapshot: Snapshot) -> None:
        now = self.timeline.now
        serving = {name: one for name, one in snapshot.backends.items() if one.phase is Phase.SERVING}
        targets = tuple(serving)
        tried = any(one.canary for one in serving.values())
        self.weights = {name: one.weight for name, one in serving.items()} if tried else {}
        if self.rate > 0 or self.held:
            self.left.update({name: now for name in self.targets if name not in targets})
        for name in targets:
            self.left.pop(name, None)
        self.generation, self.targets, self._applied = snapshot.generation, targets, True
        if self._open():
            if self.held:
                self.last_request = now
            self.held = []

    # Requests ---------------------------------------------------------------------------------------------------

    def _open(self) -> list[str]:
        containers, now = self.engine.containers, self.timeline.now
        return [name for name in self.targets if (one := containers.get(name)) is not None and one.listens(now)]

    def advance(self) -> None:
        """Let the requests since the last time arrive."""
        now, since, self.at = self.timeline.now, self.at, self.timeline.now
        if not self.serves or now <= since:
            return
        count = self.arrived(since, now) * self.share
        self.rate = count / (now - since)
        self._expire(now)
        if count <= 0:
            return
        before, self.arrivals = self.arrivals, self.arrivals + count
        if int(before) == int(self.arrivals):
            return  # less than one request; it is added up
        self.last_request = now
        ways = self._open()
        for name in self.targets if len(ways) < len(self.targets) else ():
            if name not in ways:
                self.refused[name] = self.refused.get(name, 0.0) + max(1.0, count / len(self.targets))
        if ways:
            self._send(ways, count, now)
        elif not self.held or sum(number for _, number in self.held) < HOLD_MAX:
            self.held.append((now, count))

    def _expire(self, now: float) -> None:
        """Let go what waited too long, and forget what ended."""
        if self.slow:
            self.slow = {name: left for name, ends in self.slow.items() if (left := [end for end in ends if end > now])}
        if self.left:
            self.left = {name: at for name, at in self.left.items() if now < at + self.answer_s}
        while self.held and self.held[0][0] < now - HOLD_S:
            self.expired += self.held.pop(0)[1]

    def _send(self, ways: list[str], count: float, now: float) -> None:
        self.held = []
        if self.weights:
            self._count_ends(ways, count)
        self._slow_due += count * self.slow_share
        while self._slow_due >= 1:
            self._slow_due -= 1
            self._slow_count += 1
            luck = chance(self.seed, self.id, self._slow_count)
            ends = now + SLOW_S[0] + luck * (SLOW_S[1] - SLOW_S[0])
            self.slow.setdefault(ways[self._slow_count % len(ways)], []).append(ends)
        for name in ways:
            container = self.engine.containers[name]
            if container.mute[0] <= now < container.mute[1]:
                waiting = self.slow.setdefault(name, [])
                waiting.extend([now + CLIENT_PATIENCE_S] * min(20, max(1, int(count / len(ways)))))

    def _count_ends(self, ways: list[str], count: float) -> None:
        """A canary is judged by these; those of a bad image fail for one request in three."""
        total = sum(self.weights[name] for name in ways) or 1
        ended = dict(self.ended)
        for name in ways:
            before, number = ended.get(name, Outcomes()), count * self.weights[name] / total
            share = BAD_SHARE if kind_of(self.engine.containers[name].image) == "bad" else USUAL_SHARE
            finished = before.finished + number
            busy_ms = before.busy_ms + number * 1000 * self.answer_s
            ended[name] = Outcomes(finished, before.errors + number * share, busy_ms)  # type: ignore[arg-type]
        self.ended = ended

    def told_busy_at(self, at: float) -> float:
        """When it was last busy, by what it had reported until then."""
        return next((busy_at for sent_at, busy_at in reversed(self.reports) if sent_at <= at), self.reports[0][1])

    def in_flight(self, name: str) -> int:
        """How many requests are on that backend right now."""
        return self.flying().get(name, 0)

    def flying(self) -> dict[str, int]:
        """What is in flight right now, by backend."""
        now, there, targets = self.timeline.now, self.engine.containers, self.targets
        found: dict[str, int] = {}
        if self.rate > 0 and targets and self.at - self.last_request < STEP_S:
            found = dict.fromkeys(self._open(), max(1, round(self.rate * self.answer_s / len(targets))))
        for name, left_at in self.left.items() if self.left else ():
            if now < left_at + self.answer_s and name in there and there[name].listens(now):
                found[name] = 1
        for name, ends in self.slow.items() if self.slow else ():
            if name in there and there[name].listens(now) and (count := sum(end > now for end in ends)):
                found[name] = found.get(name, 0) + count
        return found

    def _reading(self, flying: Mapping[str, int]) -> ProxyReading:
        """What it reports now."""
        targets, aside = self.targets, self.left or self.slow  # all else that is in flight is on what it sends to
        return ProxyReading(
            self.id,
            f"{self.id}-{self.series}",
            uptime_ms=int((self.timeline.now - self.began) * 1000),
            generation=self.generation,
            arrivals=int(self.arrivals),
            refused=sum(map(int, self.refused.values())) if self.refused else 0,
            in_flight=sum(flying.values()) if flying else 0,
            held=sum(max(1, int(number)) for _, number in self.held) if self.held else 0,
            leaving={name: count for name, count in flying.items() if name not in targets} if aside else {},
            outlives_agent=self.kind == "haproxy",
        )
