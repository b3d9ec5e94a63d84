"""What other threads tell the loop: answers of acts, probes, wakes, and how the run is to end."""

from __future__ import annotations

import queue
from enum import Enum, auto
from typing import TYPE_CHECKING

from scaler.messages import Event, Outcome, Probed

if TYPE_CHECKING:
    from collections.abc import Callable


class Ending(Enum):
    """How the run is to end. LEAVE: the instances go on for the next scaler; CLOSE: everything drains and stops."""

    LEAVE = auto()
    CLOSE = auto()


class Wake(Enum):
    """Somebody wants the scaler to look at once."""

    NOW = auto()


class Inbox:
    """One queue for all of it; every method may be called from any thread, `end` from a signal handler too."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._queue: queue.SimpleQueue[Event | Ending | Wake] = queue.SimpleQueue()
        self._watched: frozenset[tuple[str, str, float]] = frozenset()
        self._last: dict[str, Outcome] = {}

    def answer(self, event: Event) -> None:
        """Take an event that came of an act."""
        self._queue.put(event)

    def probed(self, name: str, outcome: Outcome, detail: str) -> None:
        """Take what a probe saw; one good answer after another says nothing new."""
        if outcome is Outcome.READY and self._last.get(name) is Outcome.READY:
            return
        self._last[name] = outcome
        self._queue.put(Probed(self._now(), name, outcome, detail))

    def watching(self, targets: tuple[tuple[str, str, float], ...]) -> None:
        """Know the new set of probes: what changed in it is news again, even where it answers as before."""
        changed = {name for name, _, _ in self._watched.symmetric_difference(targets)}
        self._watched = frozenset(targets)
        self._last = {name: seen for name, seen in self._last.items() if name not in changed}

    def wake(self) -> None:
        """Ask for a tick at once."""
        self._queue.put(Wake.NOW)

    def end(self, ending: Ending) -> None:
        """Ask for the end of the run."""
        self._queue.put(ending)

    def take(self, wait_s: float) -> Event | Ending | Wake | None:
        """The oldest item, or None when none came in that time."""
        try:
            return self._queue.get(timeout=wait_s)
        except queue.Empty:
            return None
