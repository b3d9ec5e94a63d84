"""What waits to be sent: news of one kind gather in one message, few wait, and what is settled is known. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fleet.delivery import Place
from fleet.registry import entry_order
from stoker.webhooks.news import News, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator


# Messages that wait for the receiver; above that the oldest are given up.
LIMIT = 100
# A crash's exception is told soon after the crash itself.
CRASH_GATHERS_S = 2.0


@dataclass(slots=True)
class Letter:
    """One message: the first of its news, and how many came until now.

    `entry` is the first one's place in its stream, `before` the place of what came before it.
    """

    stream: Stream
    entry: str
    before: str
    news: News
    due: float
    count: int = 1
    last_at: float = 0.0
    tries: int = 0


@dataclass(slots=True)
class Outbox:
    """`read` is how far both streams were read; `every_s` is the least time between two messages of a kind."""

    read: Place
    every_s: float
    waiting: deque[Letter] = field(default_factory=deque)
    dropped: int = 0
    _gathering: dict[tuple[str, str], Letter] = field(default_factory=dict)
    _quiet_until: dict[tuple[str, str], float] = field(default_factory=dict)

    def take(self, stream: Stream, entry: str, news: News | None, now: float) -> None:
        """Take in one entry of a stream, in its order; None where it is not worth a message."""
        before = getattr(self.read, stream)
        self.read = replace(self.read, **{stream: entry})
        if news is None:
            return
        key = (news.kind, news.state)
        if letter := self._gathering.get(key):
            letter.count, letter.last_at = letter.count + 1, news.at
            return
        due = max(now + (CRASH_GATHERS_S if news.kind == "crash" else 0.0), self._quiet_until.get(key, 0.0))
        self._gathering[key] = Letter(stream, entry, before, news, due, last_at=news.at)

    def name(self, crash: str, exception: str) -> None:
        """Say which exception that crash was, where its message is not under way yet."""
        letter = self._gathering.get(("crash", ""))
        if crash and exception and letter is not None and letter.news.about == crash:
            news = letter.news
            letter.news = replace(news, text=f"{exception}: {news.text}", about="")

    def ripen(self, now: float) -> None:
        """Have sent what has gathered for long enough."""
        ripe = [key for key, letter in self._gathering.items() if letter.due <= now]
        for key in sorted(ripe, key=lambda key: entry_order(self._gathering[key].entry)):
            self.waiting.append(self._gathering.pop(key))
            self._quiet_until[key] = now + self.every_s
        while len(self.waiting) > LIMIT:
            self.waiting.popleft()
            self.dropped += 1

    @property
    def settled(self) -> Place:
        """How far everything is sent or given up: a restart begins here, and loses nothing."""
        return Place(self._settled("events"), self._settled("crashes"))

    def _settled(self, stream: Stream) -> str:
        open_places = [letter.before for letter in self._open() if letter.stream == stream]
        return min(open_places, key=entry_order) if open_places else str(getattr(self.read, stream))

    def _open(self) -> Iterator[Letter]:
        yield from self.waiting
        yield from self._gathering.values()
