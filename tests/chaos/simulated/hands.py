"""A scaler's hands, prober and inbox in simulated time: as the real ones, without threads and without waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from scaler.hands import TOO_LATE
from scaler.inbox import Ending, Inbox, Wake
from scaler.messages import (
    Adopted,
    Counted,
    Event,
    Outcome,
    Resolved,
    Started,
    StartFailed,
    StopFailed,
    Stopped,
    Unresolved,
)
from scaler.simulated_hosts import spec_of
from tests.chaos.simulated.engine import NEVER, Engine
from tests.chaos.simulated.plan import SPEC
from tests.chaos.simulated.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleet.registry import Memory
    from scaler.messages import Census, Placement, Resolve, Start, Stop

SURVEY_PROBE_S = 0.05
PROBE_TIMEOUT_S = 2.0
UNKNOWN_EVERY_S = 1.0


class WaitingError(Exception):
    """There is nothing to take; the scaler would wait so long."""

    def __init__(self, wait_s: float) -> None:
        super().__init__()
        self.wait_s = wait_s


class SimulatedInbox(Inbox):
    """Never blocks: where the real one would, it says for how long."""

    def probed(self, name: str, outcome: Outcome, detail: str) -> bool:  # type: ignore[override]
        """Whether that was news."""
        if outcome is Outcome.READY and self._last.get(name) is Outcome.READY:
            return False
        super().probed(name, outcome, detail)
        return True

    def take(self, wait_s: float) -> Event | Ending | Wake | None:
        if self._queue.empty():
            if wait_s <= 0:
                return None
            raise WaitingError(wait_s)
        return self._queue.get_nowait()


@dataclass(slots=True)
class Process:
    """What hands know of the process that they belong to."""

    name: str
    timeline: Timeline
    now: Callable[[], float]
    awake: Callable[[], bool]
    tell: Callable[[Callable[[], Event]], None]  # answers; they wait while the process is paused
    wake: Callable[[], None]


@dataclass(slots=True)
class Pool:
    """So many calls at once; the rest waits, and so does everything while the process is paused."""

    size: int
    process: Process
    busy: int = 0
    waiting: deque[Callable[[], None]] = field(default_factory=deque)

    def submit(self, job: Callable[[], None]) -> None:
        self.waiting.append(job)
        self.process.timeline.after(0.0005, self.go)

    def go(self) -> None:
        while self.waiting and self.busy < self.size and self.process.awake():
            self.busy += 1
            self.waiting.popleft()()

    def end(self) -> None:
        self.busy -= 1
        self.go()


@dataclass(slots=True)
class SimulatedHands:
    """Stands for scaler.hands.Hands."""

    process: Process
    engine: Engine
    parallel: int
    _starts: Pool = field(init=False)
    _stops: Pool = field(init=False)
    _counting: bool = False

    def __post_init__(self) -> None:
        self._starts = Pool(self.parallel, self.process)
        self._stops = Pool(self.parallel, self.process)

    def resume(self) -> None:
        self._starts.go()
        self._stops.go()

    def start(self, effect: Start, holds: Callable[[], bool]) -> None:
        for placement in effect.placements:
            self._starts.submit(lambda placement=placement: self._start(placement, holds))  # type: ignore[misc]

    def _start(self, placement: Placement, holds: Callable[[], bool]) -> None:
        name, host, process = placement.name, placement.host, self.process
        if not holds():
            self._starts.end()
            process.tell(lambda: StartFailed(process.now(), name, TOO_LATE))
            return

        def done(reason: str | None, url: str) -> None:
            self._starts.end()
            if reason is None:
                process.tell(lambda: Started(process.now(), name, url, host))
            else:
                process.tell(lambda: StartFailed(process.now(), name, reason))

        self.engine.start(process.name, placement, done)

    def resolve(self, effect: Resolve) -> None:
        self._starts.submit(lambda: self._resolve(effect))

    def _resolve(self, effect: Resolve) -> None:
        process, image, order = self.process, effect.image, effect.order

        def done(reason: str) -> None:
            self._starts.end()
            if reason:
                process.tell(lambda: Unresolved(process.now(), image, order, reason))
            else:
                process.tell(lambda: Resolved(process.now(), image, order, image, spec_of(image, SPEC)))

        self.engine.resolve(image, done)

    def stop(self, effect: Stop, holds: Callable[[], bool]) -> None:
        self._stops.submit(lambda: self._stop(effect, holds))

    def _stop(self, effect: Stop, holds: Callable[[], bool]) -> None:
        process = self.process
        if not holds():
            self._stops.end()
            process.tell(lambda: StopFailed(process.now(), effect.name, TOO_LATE))
            return

        def done(reason: str | None) -> None:
            self._stops.end()
            if reason is None:
                process.tell(lambda: Stopped(process.now(), effect.name))
            else:
                process.tell(lambda: StopFailed(process.now(), effect.name, reason))

        self.engine.stop(process.name, effect.name, effect.host, effect.grace_s, done)

    def count(self) -> None:
        if self._counting:
            return
        self._counting = True

        def done(census: Census) -> None:
            self._counting = False
            self.process.tell(lambda: Counted(self.process.now(), census))

        self.engine.count(done, self.process.now())

    def survey(self, token: int, memory: Memory) -> None:
        def done(census: Census) -> None:
            ready = frozenset(one.name for one in census.found if self.engine.probe(one.name) is Outcome.READY)
            self.process.timeline.after(
                SURVEY_PROBE_S,
                lambda: self.process.tell(lambda: Adopted(self.process.now(), token, census, memory, ready)),
            )

        self.engine.count(done, self.process.now())

    def close(self) -> None:
        """The process is over."""


@dataclass(slots=True)
class SimulatedProber:
    """Asks as often as it is told; what certainly says nothing new is not asked."""

    process: Process
    engine: Engine
    inbox: SimulatedInbox
    _targets: dict[str, tuple[str, float]] = field(default_factory=dict)
    _turns: dict[str, int] = field(default_factory=dict)
    _turn: int = 0
    _asleep: list[tuple[str, int]] = field(default_factory=list)  # due while the process was paused

    def start(self) -> None:
        """Nothing runs in the background."""

    def close(self) -> None:
        self.set_targets(())

    def set_targets(self, targets: Iterable[tuple[str, str, float]]) -> None:
        wanted = {name: (url, every_s) for name, url, every_s in targets}
        for name in self._targets.keys() - wanted.keys():
            self._turns.pop(name, None)
        for name, (url, every_s) in wanted.items():
            if self._targets.get(name) != (url, every_s):
                self._turn += 1
                self._turns[name] = self._turn
                self._later(name, self._turn, min(every_s, 0.1))
        self._targets = wanted

    def _later(self, name: str, turn: int, seconds: float) -> None:
        self.process.timeline.after(seconds, lambda: self._probe(name, turn))

    def _probe(self, name: str, turn: int) -> None:
        if self._turns.get(name) != turn:
            return
        if not self.process.awake():
            self._asleep.append((name, turn))
            return
        outcome, every_s = self.engine.probe(name), self._targets[name][1]
        if outcome is Outcome.TIMED_OUT:
            self.process.timeline.after(PROBE_TIMEOUT_S, lambda: self._told(name, turn, outcome))
            every_s += PROBE_TIMEOUT_S
        else:
            self._told(name, turn, outcome)
        self._later(name, turn, self._pause(name, every_s))

    def resume(self) -> None:
        """Ask at once what was due while the process was paused."""
        due, self._asleep = self._asleep, []
        for name, turn in due:
            self._later(name, turn, 0.0)

    def _pause(self, name: str, every_s: float) -> float:
        """Until the next probe that can say something new."""
        container, now = self.engine.containers.get(name), self.process.timeline.now
        if every_s >= UNKNOWN_EVERY_S:
            return every_s
        if container is None or container.listens(now):
            return every_s if container is not None else UNKNOWN_EVERY_S
        wait_s = min(container.ready_at, container.dead_at) - now
        return UNKNOWN_EVERY_S if wait_s == NEVER or wait_s <= 0 else ceil(wait_s / every_s) * every_s

    def _told(self, name: str, turn: int, outcome: Outcome) -> None:
        heard = self._turns.get(name) == turn and self.process.awake()
        if heard and self.inbox.probed(name, outcome, "" if outcome is Outcome.READY else outcome):
            self.process.wake()
