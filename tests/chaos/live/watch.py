"""What a bystander sees of the fleet: the registry, the lease and the history, each with the moment it was seen."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.backend import Backend, Phase
from fleet.errors import StoreUnavailableError
from fleet.registry import Happening, Status
from fleet.settings import Settings
from fleet.store.opening import open_desk

if TYPE_CHECKING:
    from collections.abc import Mapping


LOOK_S = 0.1
TOLD = 60


@dataclass(frozen=True, slots=True)
class Seen:
    """One look, at a moment of the machine's monotonic clock; `status` None: nobody answered."""

    at: float
    status: Status | None

    @property
    def backends(self) -> Mapping[str, Backend] | None:
        snapshot = self.status.snapshot if self.status else None
        return snapshot.backends if snapshot else None

    @property
    def serving(self) -> int:
        return sum(one.phase is Phase.SERVING for one in (self.backends or {}).values())


@dataclass(slots=True)
class Watch:
    """Looks all the time, by a connection of its own that no fault concerns but the server's.

    A line of `history` came after its moment, that of the look before: a watch that stands still makes none late.
    """

    settings: Settings
    record: Path
    looks: list[Seen] = field(default_factory=list)
    history: list[tuple[float, Happening]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _after: str = ""
    _looked: float = field(default_factory=time.monotonic)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    @property
    def last(self) -> Seen:
        return self.looks[-1] if self.looks else Seen(0.0, None)

    @property
    def acting(self) -> str | None:
        return self.last.status.acting if self.last.status else None

    @property
    def terms(self) -> int:
        """How often somebody began to act."""
        return sum(one.kind == "term" for _, one in self.history)

    def settled(self, serving: int, proxies: int) -> bool:
        """Whether so many serve and nothing else is there, and each of the proxies has applied that."""
        status = self.last.status
        if status is None or status.snapshot is None or status.sighting.silent:
            return False
        snapshot = status.snapshot
        applied = [one.generation == snapshot.generation for one in status.sighting.readings]
        return (
            [Phase.SERVING] * serving == [one.phase for one in snapshot.backends.values()]
            and len(applied) == proxies
            and all(applied)
        )

    def told(self) -> list[str]:
        """The end of the history, and what is there now, for whoever looks for a cause."""
        shown = [
            f"{at:.1f}  {one.kind} {one.subject} {one.before} -> {one.after} ({'; '.join(one.reasons)[:160]})"
            for at, one in self.history[-TOLD:]
        ]
        return [*shown, f"{time.monotonic():.1f}  {self.last.status}"]

    def rests(self, proxies: int) -> bool:
        """Whether all that is there serves, and each of the proxies knows."""
        backends = self.last.backends
        return backends is not None and self.settled(len(backends), proxies)

    def _run(self) -> None:
        desk = open_desk(self.settings)
        with contextlib.closing(desk):
            while not self._over.wait(LOOK_S):
                began = time.monotonic()
                try:
                    status = desk.status()
                    self._look(status)
                    for after, one in desk.history(self._after, wait_s=0):
                        self._after = after
                        self.history.append((self._looked, one))
                    self._looked = began
                except StoreUnavailableError:
                    self._look(None)

    def _look(self, status: Status | None) -> None:
        now = time.monotonic()
        last = self.last.status
        if status is None or last is None or status.snapshot != last.snapshot or status.acting != last.acting:
            self.looks.append(Seen(now, status))
        elif self.looks:
            self.looks[-1] = Seen(self.looks[-1].at, status)
