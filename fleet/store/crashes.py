"""Crashes in Redis: a capped stream of what happened, and the newest documents, each with its end."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import redis
import redis.asyncio

from fleet.crash import CRASH_ID, Entry, Failure, Listing, Retention, merged
from fleet.crash_document import unpack
from fleet.errors import StoreUnavailableError
from fleet.store.connection import aclose, close, reaching, wrong_type
from fleet.store.crash_entries import entry_fields, read_entry
from fleet.store.fields import stream_id, text
from fleet.store.keys import Keys
from fleet.store.scripts import source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.crash import Capture, Uncaptured

# Read at once, backwards; a blocking read is cut into pieces that end before the socket's own timeout.
PAGE = 1000
PIECE_S = 0.5


@dataclass(slots=True)
class RedisCrashLog:
    """Implements CrashLog on a Redis server."""

    client: redis.asyncio.Redis
    shown: str
    keys: Keys
    retention: Retention = field(default_factory=Retention)
    _write: Any = field(init=False)

    def __post_init__(self) -> None:
        self._write = self.client.register_script(source("crash"))

    async def failed(self, failures: Sequence[Failure]) -> None:
        """Write these down."""
        await self._record(failures)

    async def captured(self, capture: Capture, packed: bytes) -> None:
        """Keep a document and write down what it says in short; both or neither."""
        await self._record([capture], capture.id, packed)

    async def uncaptured(self, missing: Sequence[Uncaptured]) -> None:
        """Write down that nothing more is coming for these."""
        await self._record(missing)

    async def aclose(self) -> None:
        """Let the connections go."""
        await aclose(self.client)

    async def _record(self, entries: Sequence[Entry], document: str = "", packed: bytes = b"") -> None:
        if not entries:
            return
        kept, age_ms = self.retention, int(1000 * self.retention.age_s)
        flat = [entry_fields(entry) for entry in entries]
        limits = (kept.entries, age_ms, kept.documents, document, packed, len(flat[0]))
        with reaching(self.shown):
            await self._write(
                [self.keys.crashes, self.keys.crash_index, self.keys.crash_prefix],
                [*limits, *(part for fields in flat for part in fields)],
            )


@dataclass(slots=True)
class RedisCrashDesk:
    """Implements CrashDesk on a Redis server."""

    client: redis.Redis
    shown: str
    keys: Keys

    def crashes(self, *, limit: int, within_s: float | None = None) -> Listing:
        """The newest crashes, or those written down in the last `within_s` seconds by the store's own clock."""
        found: list[tuple[str, Entry | None]] = []
        with reaching(self.shown):
            first, last, failures = self._since(within_s), "+", 0
            while failures < limit:
                page = self._page(last, first)
                found += page
                failures += sum(isinstance(entry, Failure) for _, entry in page)
                if len(page) < PAGE:
                    break
                last = f"({page[-1][0]}"
        crashes = merged(entry for _, entry in reversed(found) if entry is not None)
        return Listing(crashes[max(0, len(crashes) - limit) :], found[0][0] if found else "")

    def follow(self, after: str, *, wait_s: float) -> Sequence[tuple[str, Entry]]:
        """What was written down after that place, oldest first; waits up to `wait_s` for the first of it."""
        if after and not stream_id(after):
            raise ValueError(f"follow: a place looks like 1700000000000-0, was {after[:80]!r}")
        with reaching(self.shown):
            for _ in range(max(1, math.ceil(wait_s / PIECE_S))):
                found = self._follow(after or "0-0", min(wait_s, PIECE_S))
                readable = tuple((place, entry) for place, entry in found if entry is not None)
                if readable:
                    return readable
                after = found[-1][0] if found else after
        return ()

    def document(self, crash_id: str) -> bytes | None:
        """The kept document as JSON text, or None where there is none (any more)."""
        if not CRASH_ID.fullmatch(crash_id):
            return None
        with reaching(self.shown):
            packed: Any = self.client.get(self.keys.crash(crash_id))
        return None if packed is None else unpack(packed)

    def close(self) -> None:
        """Let the connections go."""
        close(self.client)

    def _since(self, within_s: float | None) -> str:
        if within_s is None:
            return "-"
        seconds, micros = self.client.time()
        return str(max(0, int(1000 * (seconds + micros / 1_000_000 - within_s))))

    def _page(self, last: str, first: str) -> list[tuple[str, Entry | None]]:
        [reply] = self._ask("XREVRANGE", self.keys.crashes, last, first, "COUNT", PAGE)
        return [(text(place), read_entry(fields)) for place, fields in reply]

    def _follow(self, after: str, wait_s: float) -> list[tuple[str, Entry | None]]:
        # BLOCK 0 would wait for ever.
        block = ("BLOCK", max(1, int(wait_s * 1000))) if wait_s > 0 else ()
        [reply] = self._ask("XREAD", "COUNT", PAGE, *block, "STREAMS", self.keys.crashes, after)
        streams: list[Any] = list(reply.items()) if isinstance(reply, dict) else reply or []
        return [(text(place), read_entry(fields)) for _, entries in streams for place, fields in entries]

    def _ask(self, *command: str | int) -> list[Any]:
        pipeline = self.client.pipeline(transaction=False)
        pipeline.execute_command(*command)
        replies: list[Any] = pipeline.execute(raise_on_error=False)
        if wrong_type(replies[0]):
            raise StoreUnavailableError(
                f"Redis at {self.shown}: {self.keys.crashes} must be a stream, is something else"
            )
        return replies
