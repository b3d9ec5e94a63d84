"""The actuator and the probes behind threads: calls that block become events, a hung one holds only its own place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from scaler.actuators.actuator import (
    Actuator,
    Failed,
    StartOrder,
    attempt_census,
    attempt_resolve,
    attempt_start,
    attempt_stop,
)
from scaler.definitions import Definitions
from scaler.messages import (
    Adopted,
    Counted,
    Event,
    Outcome,
    Resolve,
    Resolved,
    Start,
    Started,
    StartFailed,
    Stop,
    StopFailed,
    Stopped,
    Unresolved,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleet.registry import Memory

TOO_LATE = "not begun: the lease was over before"


class Prober(Protocol):
    """Who asks instances whether they are ready."""

    def start(self) -> None:
        """Begin."""

    def close(self) -> None:
        """End."""

    def set_targets(self, targets: Iterable[tuple[str, str, float]]) -> None:
        """Probe exactly these `(name, url, every_s)` from now on."""


@dataclass(slots=True)
class Hands:
    """Performs acts in the background; `answer` takes the events that come of them, from any thread.

    `definitions` knows the instance definition of each spec; `probe_once` asks each url one time.
    """

    actuator: Actuator
    definitions: Definitions
    probe_once: Callable[[Mapping[str, str]], Mapping[str, Outcome]]
    answer: Callable[[Event], None]
    now: Callable[[], float]
    parallel: int
    _starts: ThreadPoolExecutor = field(init=False)
    _stops: ThreadPoolExecutor = field(init=False)
    _counts: ThreadPoolExecutor = field(init=False)
    _counting: bool = False

    def __post_init__(self) -> None:
        self._starts = ThreadPoolExecutor(self.parallel, thread_name_prefix="start")
        self._stops = ThreadPoolExecutor(self.parallel, thread_name_prefix="stop")
        self._counts = ThreadPoolExecutor(2, thread_name_prefix="census")

    def start(self, effect: Start, holds: Callable[[], bool]) -> None:
        """Start each placement; a play takes all of them in one call, an engine one call each.

        What waited, here or with the whole process, until the lease was over is not done any more: `holds` is asked
        right before the call. Its names may be another's by then.
        """
        orders = []
        for item in effect.placements:
            try:
                definition = self.definitions.find(item.spec, item.image)
            except ValueError as error:
                self.answer(StartFailed(self.now(), item.name, str(error)))
            else:
                orders.append(StartOrder(item.name, item.host, item.spec, definition))
        for batch in [orders] if self.actuator.batches and orders else [[order] for order in orders]:
            self._starts.submit(self._start, batch, holds)

    def _start(self, orders: list[StartOrder], holds: Callable[[], bool]) -> None:
        if not holds():
            for order in orders:
                self.answer(StartFailed(self.now(), order.name, TOO_LATE))
            return
        for result in attempt_start(self.actuator, orders):
            if isinstance(result, Failed):
                event: Event = StartFailed(self.now(), result.name, result.reason, result.exit_code, result.log)
            else:
                event = Started(self.now(), result.name, result.url, result.host)
            self.answer(event)

    def resolve(self, effect: Resolve) -> None:
        """Find out what an image stands for; a pull takes as long as it takes."""
        self._starts.submit(self._resolve, effect)

    def _resolve(self, effect: Resolve) -> None:
        _, definition = self.definitions.with_image(effect.image)
        pinned = attempt_resolve(self.actuator, definition)
        if isinstance(pinned, Failed):
            self.answer(Unresolved(self.now(), effect.image, effect.order, pinned.reason))
        else:
            spec, _ = self.definitions.with_image(pinned)
            self.answer(Resolved(self.now(), effect.image, effect.order, pinned, spec))

    def stop(self, effect: Stop, holds: Callable[[], bool]) -> None:
        """Stop and remove one instance; too late is as with a start."""
        self._stops.submit(self._stop, effect, holds)

    def _stop(self, effect: Stop, holds: Callable[[], bool]) -> None:
        if not holds():
            self.answer(StopFailed(self.now(), effect.name, TOO_LATE))
            return
        left = attempt_stop(self.actuator, effect.name, effect.host, effect.grace_s)
        if isinstance(left, Failed):
            self.answer(StopFailed(self.now(), effect.name, left.reason))
        else:
            self.answer(Stopped(self.now(), effect.name, left.log, left.exit_code))

    def count(self) -> None:
        """Take a census, unless one is under way: its answer serves both."""
        if not self._counting:
            self._counting = True
            self._counts.submit(self._count)

    def _count(self) -> None:
        census = attempt_census(self.actuator, self.now())
        self._counting = False
        self.answer(Counted(self.now(), census))

    def survey(self, token: int, memory: Memory) -> None:
        """Find what runs and which of it is ready, for the start of the term of that token."""
        self._counts.submit(self._survey, token, memory)

    def _survey(self, token: int, memory: Memory) -> None:
        census = attempt_census(self.actuator, self.now())
        urls = {item.name: item.url for item in census.found if item.running and item.url is not None}
        outcomes = self.probe_once(urls)
        ready = frozenset(name for name, outcome in outcomes.items() if outcome is Outcome.READY)
        self.answer(Adopted(self.now(), token, census, memory, ready))

    def close(self) -> None:
        """Begin nothing more; what is under way may end on its own."""
        for pool in (self._starts, self._stops, self._counts):
            pool.shutdown(wait=False, cancel_futures=True)
