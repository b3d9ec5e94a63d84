"""What strangers wrote into keys that hold no part of a publication; each is told once."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import redis

from fleet.store.connection import wrong_type
from fleet.store.crash_entries import read_entry
from fleet.store.fields import EVENT_FIELDS, finite, stream_id, text
from fleet.store.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_MET = 20
# Of the entries that a stream got since the last look, so many are read.
ENTRIES = 100
# Above any time in ms.
NO_TIME = 10**14
LONGEST = 120


@dataclass(slots=True)
class Strangers:
    """Gathers what was met from one look to the next."""

    client: redis.Redis
    keys: Keys
    _met: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_MET))
    _standing: frozenset[str] = frozenset()
    _read: dict[str, str] = field(default_factory=dict)

    def meet(self, found: Iterable[object]) -> None:
        """What a script put right."""
        self._met += map(text, found)

    def told(self) -> list[str]:
        """All that was met since this was asked last, and what a look at the other keys shows that stood in none."""
        standing = self._look()
        told = [*self._met, *(one for one in standing if one not in self._standing)]
        self._met.clear()
        self._standing = frozenset(standing)
        return told

    def _look(self) -> list[str]:
        keys = self.keys
        streams = (keys.events, keys.crashes)
        pipeline = self.client.pipeline(transaction=False)
        for stream in streams:
            pipeline.execute_command("XRANGE", stream, f"({self._read.get(stream, '0-0')}", "+", "COUNT", ENTRIES)
        pipeline.execute_command("ZRANGE", keys.crash_index, NO_TIME, "+inf", "BYSCORE", "LIMIT", 0, 1)
        pipeline.execute_command("HGETALL", keys.webhooks)
        pipeline.execute_command("PTTL", keys.webhooks_lock)
        pipeline.execute_command("GET", keys.webhooks_lock)
        events, crashes, index, webhooks, left, lock = pipeline.execute(raise_on_error=False)
        found = [
            *self._entries(keys.events, events, _is_event),
            *self._entries(keys.crashes, crashes, lambda fields: read_entry(fields) is not None),
            *_other_type(keys.crash_index, index, "a sorted set"),
            *_other_type(keys.webhooks, webhooks, "a hash"),
            *_other_type(keys.webhooks_lock, lock, "a text"),
        ]
        if isinstance(index, list) and index:
            found.append(f"{keys.crash_index}: {text(index[0])[:40]!r} has no time")
        if isinstance(webhooks, dict) and not _is_place(webhooks):
            found.append(f"{keys.webhooks}: not as it was written: {str(webhooks)[:LONGEST]}")
        if isinstance(lock, bytes) and left == -1:
            found.append(f"{keys.webhooks_lock}: has no end, and counts as free")
        return found

    def _entries(self, key: str, reply: object, ours: Any) -> list[str]:  # noqa: ANN401  # a predicate over fields
        if not isinstance(reply, list):
            return _other_type(key, reply, "a stream")
        if not reply:
            return []
        self._read[key] = text(reply[-1][0])
        bad = [text(entry_id) for entry_id, fields in reply if not ours(fields)]
        return [f"{key}: {', '.join(bad[:3])} written by a stranger"] if bad else []


def _other_type(key: str, reply: object, kind: str) -> list[str]:
    # A user who may not look at it is none who could say what stands there.
    return [f"{key}: must be {kind}, is of another type"] if wrong_type(reply) else []


def _is_event(fields: Any) -> bool:  # noqa: ANN401  # as the client parses them
    return list(map(text, fields)) == list(EVENT_FIELDS) and finite(fields[b"at"]) is not None


def _is_place(fields: dict[bytes, bytes]) -> bool:
    return set(fields) <= {b"events", b"crashes"} and all(stream_id(one) for one in fields.values() if one)
