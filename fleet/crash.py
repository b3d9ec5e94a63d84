"""A request that failed, what was captured of it, and the two brought together; what the planes and readers ask."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CRASH_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# Why nothing is captured where nobody set one.
NO_TOKEN = "no app is asked: profile_token is not set"  # noqa: S105  # a reason, not a token


class Symptom(StrEnum):
    """How a data plane saw, or an app said, that a request failed."""

    STATUS = "status"  # the backend answered 500 or more
    ABORTED = "aborted"  # the backend ended the connection before an answer
    BROKEN = "broken"  # the answer began and broke off
    RAISED = "raised"  # an exception left the app, as the app itself says
    SLOW = "slow"  # no failure: it took longer than the app's own limit


class Source(StrEnum):
    """Where a capture comes from: the failed request itself, or the same request sent once more."""

    CAPTURE = "capture"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed request as the data plane saw it. `at` is Unix time, for display; `path` is without its query.

    `status` is None where nothing was answered.
    """

    id: str
    at: float
    plane: str
    proxy: str
    backend: str
    method: str
    path: str
    status: int | None
    failure: Symptom
    duration_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Capture:
    """What the kept document of a crash says, in short.

    `exception` is "" where none is known, `message` None where messages are switched off, `where` the app's topmost
    frame as "file:line:in label", relative to the app's root.
    """

    id: str
    exception: str = ""
    message: str | None = None
    where: str = ""
    profiled: bool = False
    unprofiled: str = ""
    source: Source = Source.CAPTURE


@dataclass(frozen=True, slots=True)
class Uncaptured:
    """Nothing could be had of this crash but that it happened."""

    id: str
    reason: str


Entry = Failure | Capture | Uncaptured


@dataclass(frozen=True, slots=True)
class Crash:
    """One failed request as readers see it; `reason` says why nothing was captured, "" while that is open."""

    failure: Failure
    capture: Capture | None = None
    reason: str = ""

    @property
    def group(self) -> tuple[str, str]:
        """What crashes of one kind share: exception class and the app's topmost frame.

        Where no exception is known, how it failed and the path stand for them.
        """
        if self.capture is not None and self.capture.exception:
            return self.capture.exception, self.capture.where
        status = self.failure.status
        how = f"{status}" if self.failure.failure is Symptom.STATUS and status else str(self.failure.failure)
        return how, f"{self.failure.method} {self.failure.path}"


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of the past is kept: entries of the log, documents, and both no longer than `age_s`."""

    entries: int = 10_000
    documents: int = 200
    age_s: float = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Listing:
    """Crashes, oldest first. `last` is the place in the log up to which was read, from which `follow` goes on."""

    crashes: tuple[Crash, ...]
    last: str = ""


class CrashLog(Protocol):
    """A data plane's side. Every method raises StoreUnavailableError when the store cannot be reached."""

    async def failed(self, failures: Sequence[Failure]) -> None:
        """Write these down."""

    async def captured(self, capture: Capture, packed: bytes) -> None:
        """Keep a document, as `crash_document.pack` made it, and write down what it says in short; both or neither."""

    async def uncaptured(self, missing: Sequence[Uncaptured]) -> None:
        """Write down that nothing more is coming for these."""

    async def aclose(self) -> None:
        """Let the connections go."""


class CrashDesk(Protocol):
    """The reader's side. Every method raises StoreUnavailableError when the store cannot be reached."""

    def crashes(self, *, limit: int, within_s: float | None = None) -> Listing:
        """The newest crashes, or those written down in the last `within_s` seconds by the store's own clock."""

    def follow(self, after: str, *, wait_s: float) -> Sequence[tuple[str, Entry]]:
        """What was written down after that place, oldest first; waits up to `wait_s` for the first of it."""

    def document(self, crash_id: str) -> bytes | None:
        """The kept document as JSON text, or None where there is none (any more).

        Raises ValueError, in one line, for one that cannot be unpacked.
        """


def merged(entries: Iterable[Entry]) -> tuple[Crash, ...]:
    """Bring entries together by id, in the order of the failures; what belongs to no failure here is left out."""
    crashes: dict[str, Crash] = {}
    for entry in entries:
        known = crashes.get(entry.id)
        match entry:
            case Failure() if known is None:
                crashes[entry.id] = Crash(entry)
            case Capture() if known is not None:
                # A replay says less than the request itself.
                if known.capture is None or entry.source is Source.CAPTURE:
                    crashes[entry.id] = replace(known, capture=entry, reason="")
            case Uncaptured() if known is not None and known.capture is None:
                crashes[entry.id] = replace(known, reason=entry.reason)
            case _:
                pass
    return tuple(crashes.values())


def counted(crashes: Iterable[Crash]) -> dict[tuple[str, str], int]:
    """How many there are of each group, the commonest first."""
    counts: dict[tuple[str, str], int] = {}
    for crash in crashes:
        counts[crash.group] = counts.get(crash.group, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))
