"""Crashes in memory, for one process: tests, and runs without a server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.crash import Entry, Failure, Listing, Retention, merged
from fleet.crash_document import unpack
from fleet.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.crash import Capture, Uncaptured


@dataclass(slots=True)
class MemoryCrashes:
    """Implements CrashLog and CrashDesk. `clock` gives the store's time in seconds.

    While `outage` is a reason, every call raises StoreUnavailableError with it.
    """

    clock: Callable[[], float]
    retention: Retention = field(default_factory=Retention)
    outage: str | None = None
    _entries: list[tuple[float, str, Entry]] = field(default_factory=list)
    _documents: dict[str, tuple[float, bytes]] = field(default_factory=dict)
    _serial: int = 0

    async def failed(self, failures: Sequence[Failure]) -> None:
        """Write these down."""
        self._record(failures)

    async def captured(self, capture: Capture, packed: bytes) -> None:
        """Keep a document and write down what it says in short; both or neither."""
        self._record([capture])
        self._documents.pop(capture.id, None)
        self._documents[capture.id] = self.clock() + self.retention.age_s, packed
        for oldest in list(self._documents)[: max(0, len(self._documents) - self.retention.documents)]:
            del self._documents[oldest]

    async def uncaptured(self, missing: Sequence[Uncaptured]) -> None:
        """Write down that nothing more is coming for these."""
        self._record(missing)

    async def aclose(self) -> None:
        """Nothing is open."""

    def crashes(self, *, limit: int, within_s: float | None = None) -> Listing:
        """The newest crashes, or those written down in the last `within_s` seconds."""
        self._reach()
        first = 0.0 if within_s is None else self.clock() - within_s
        found = [(place, entry) for at, place, entry in self._entries if at >= first]
        crashes = merged(entry for _, entry in found)
        return Listing(crashes[max(0, len(crashes) - limit) :], found[-1][0] if found else "")

    def follow(self, after: str, *, wait_s: float) -> Sequence[tuple[str, Entry]]:
        """What was written down after that place; does not wait, because whoever adds some runs in this process."""
        del wait_s
        self._reach()
        return tuple((place, entry) for _, place, entry in self._entries if _order(place) > _order(after))

    def document(self, crash_id: str) -> bytes | None:
        """The kept document as JSON text, or None where there is none (any more)."""
        self._reach()
        until, packed = self._documents.get(crash_id, (0.0, b""))
        return unpack(packed) if self.clock() < until else None

    def close(self) -> None:
        """Nothing is open."""

    def _record(self, entries: Sequence[Entry]) -> None:
        self._reach()
        now = self.clock()
        for entry in entries:
            self._serial += 1
            self._entries.append((now, f"{int(now * 1000)}-{self._serial}", entry))
        kept = [one for one in self._entries if one[0] >= now - self.retention.age_s]
        self._entries = kept[max(0, len(kept) - self.retention.entries) :]

    def _reach(self) -> None:
        if self.outage is not None:
            raise StoreUnavailableError(f"store in memory: {self.outage}")


def _order(place: str) -> tuple[int, ...]:
    """A place in an order that sorts; "" comes before all."""
    return tuple(int(part) for part in place.split("-")) if place else ()
