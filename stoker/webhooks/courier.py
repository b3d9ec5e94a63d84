"""Reads what happens, and has it delivered: in order, again and again until it is taken, by one courier at a time."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import structlog

from fleet.crash import CrashDesk
from fleet.delivery import Delivery, Place
from fleet.registry import Desk
from fleet.settings import Settings
from stoker.webhooks.news import exception_of, of_crash, of_happening, payload
from stoker.webhooks.outbox import Outbox
from stoker.webhooks.place import PlaceFile

if TYPE_CHECKING:
    from stoker.webhooks.news import News
    from stoker.webhooks.outbox import Letter

LOOK_S = 1.0
# Another one delivers; it loses the right within its own time.
STAND_BY_S = 5.0
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 300.0

log = structlog.get_logger()


class Sender(Protocol):
    """Who posts a message once."""

    def send(self, identity: str, body: bytes, timestamp: str) -> str:
        """Returns "" where it was taken, else why not."""


@dataclass(slots=True)
class Courier:
    """`step` does what is due, and never waits but for the receiver's answer. `now` is Unix time."""

    settings: Settings
    owner: str
    desk: Desk
    crashes: CrashDesk
    delivery: Delivery
    sender: Sender
    file: PlaceFile
    now: Callable[[], float]
    jitter: Callable[[], float] = random.random
    _outbox: Outbox | None = None
    _written: Place = field(default_factory=Place)
    _failures: int = 0
    _retry_at: float = 0.0

    def step(self) -> float:
        """Look once; returns how long to wait before the next look. Raises StoreUnavailableError."""
        place = self.delivery.hold(self.owner)
        if place is None:
            self._outbox = None
            return STAND_BY_S
        outbox = self._outbox = self._outbox or self._begin(place)
        self._read(outbox)
        outbox.ripen(self.now())
        self._tell_dropped(outbox)
        if outbox.waiting and self.now() >= self._retry_at:
            self._deliver(outbox)
        self._settle(outbox)
        return 0.0 if outbox.waiting and self.now() >= self._retry_at else LOOK_S

    def close(self) -> None:
        """Let another take over at once. Raises StoreUnavailableError."""
        self.delivery.release(self.owner)

    def _begin(self, stored: Place) -> Outbox:
        """Go on where this or another courier got to; what was before the very first one is not told."""
        known = stored.later(self.file.read())
        newest = self.delivery.newest()
        start = Place(known.events or newest.events, known.crashes or newest.crashes)
        self._written = Place()
        log.info("delivering messages", since=start.events)
        return Outbox(start, self.settings.webhooks.every_s)

    def _read(self, outbox: Outbox) -> None:
        now = self.now()
        for entry, happening in self.desk.history(outbox.read.events, wait_s=0):
            outbox.take("events", entry, self._wanted(of_happening(happening)), now)
        for entry, told in self.crashes.follow(outbox.read.crashes, wait_s=0):
            outbox.take("crashes", entry, self._wanted(of_crash(told)), now)
            outbox.name(*exception_of(told))

    def _wanted(self, news: News | None) -> News | None:
        return news if news is not None and news.kind in self.settings.webhooks.kinds else None

    def _deliver(self, outbox: Outbox) -> None:
        """Try the oldest. A receiver that fails is asked ever more rarely, whichever message it is."""
        letter = outbox.waiting[0]
        letter.tries += 1
        identity = f"{self.settings.fleet}/{self.settings.app}/{letter.stream}/{letter.entry}"
        reason = self.sender.send(identity, self._body(identity, letter), str(int(self.now())))
        if not reason:
            outbox.waiting.popleft()
            if self._failures:
                log.info("the receiver takes messages again", after=self._failures)
            self._failures = 0
            return
        if not self._failures:
            log.warning("the receiver does not take messages; trying again", reason=reason)
        self._failures += 1
        wait_s = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self._failures - 1, 30))
        self._retry_at = self.now() + wait_s * (0.5 + 0.5 * self.jitter())
        if letter.tries >= self.settings.webhooks.tries:
            outbox.waiting.popleft()
            log.warning("message given up", id=identity, kind=letter.news.kind, tries=letter.tries, reason=reason)

    def _body(self, identity: str, letter: Letter) -> bytes:
        settings = self.settings
        content = payload(settings.fleet, settings.app, identity, letter.news, letter.count, letter.last_at)
        return json.dumps(content, separators=(",", ":")).encode()

    def _tell_dropped(self, outbox: Outbox) -> None:
        if outbox.dropped:
            log.warning("messages given up: too many wait for the receiver", count=outbox.dropped)
            outbox.dropped = 0

    def _settle(self, outbox: Outbox) -> None:
        place = outbox.settled
        if place == self._written:
            return
        if self.delivery.settle(self.owner, place):
            self.file.write(place)
            self._written = place
        else:
            self._outbox = None
