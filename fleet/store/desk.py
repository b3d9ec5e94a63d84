"""The `stoker` command's side of the store: everything at a glance, orders, and the history."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import redis

from fleet.errors import StoreUnavailableError
from fleet.registry import Status, entry_order
from fleet.store.connection import close, reaching, wrong_type
from fleet.store.definitions import read_releases
from fleet.store.fields import number, order_fields, read_happening, read_summary, stream_id, text
from fleet.store.keys import Keys
from fleet.store.sightings import SightingReader
from fleet.store.snapshots import SnapshotReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.registry import Happening, Order, Snapshot

ORDERS_KEPT = 1000
# A blocking read is cut into pieces that end before the socket's own timeout.
PIECE_S = 0.5
# More than the history keeps.
TOLD = 12_000


@dataclass(slots=True)
class RedisDesk:
    """Implements Desk on a Redis server."""

    client: redis.Redis
    shown: str
    keys: Keys
    snapshots: SnapshotReader
    _sightings: SightingReader = field(init=False)
    _told: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sightings = SightingReader(self.client, self.keys, strays=True)

    def status(self, known: Snapshot | None = None) -> Status:
        """The whole fleet as the store shows it; `known` is taken over while its generation is the present one."""
        keys = self.keys
        with reaching(self.shown):
            pipeline = self.client.pipeline(transaction=True)
            kept = known if known is not None and self._is_present(known) else None
            for command in (
                *(() if kept else self.snapshots.wanted),
                ("HGETALL", keys.scaler),
                ("HGETALL", keys.definition),
                ("ZRANGE", keys.scalers, 0, -1, "WITHSCORES"),
                ("GET", keys.lease),
                ("TIME",),
            ):
                pipeline.execute_command(*command)
            *registry, scaler, definition, scalers, lease, time = pipeline.execute(raise_on_error=False)
            unread = {
                key: f"{key} is of another type than ours"
                for key, reply in (
                    (keys.scaler, scaler),
                    (keys.definition, definition),
                    (keys.scalers, scalers),
                    (keys.lease, lease),
                )
                if wrong_type(reply)
            }
            releases, wrong = read_releases(keys.definition, {} if keys.definition in unread else definition)
            unread |= dict.fromkeys(wrong and (keys.definition,), "; ".join(wrong))
            for fault in () if kept else self.snapshots.fault(registry[0]):
                unread[keys.generation] = fault
            return Status(
                summary=None if keys.scaler in unread else read_summary(scaler),
                snapshot=kept or self.snapshots.read(*registry),
                sighting=self._sightings.read_backends(),
                scalers=() if keys.scalers in unread else _ages(scalers, time),
                acting=None if keys.lease in unread else text(lease).rpartition(":")[0] or None,
                extra=unread,
                releases=releases,
            )

    def _is_present(self, known: Snapshot) -> bool:
        pipeline = self.client.pipeline(transaction=False)
        pipeline.execute_command("GET", self.keys.generation)
        [generation] = pipeline.execute(raise_on_error=False)
        return not wrong_type(generation) and number(generation) == known.generation

    def place(self, order: Order) -> str:
        """Leave an order for the acting scaler; returns its id.

        It comes after that of the last order that was carried out, from which the scaler reads on, though the server
        may have lost the stream since, and its clock may have gone back.
        """
        with reaching(self.shown):
            pipeline = self.client.pipeline(transaction=False)
            pipeline.execute_command("HMGET", self.keys.scaler, "last_order")
            pipeline.execute_command("TIME")
            last, time = pipeline.execute(raise_on_error=False)
            carried_out = "" if wrong_type(last) or wrong_type(time) else stream_id(last[0])
            if carried_out and entry_order(carried_out) >= (_milliseconds(time),):
                milliseconds, sequence = entry_order(carried_out)
                with suppress(redis.ResponseError):  # the stream is further than that
                    return self._placed(order, f"{milliseconds}-{sequence + 1}")
            return self._placed(order, "*")

    def _placed(self, order: Order, entry_id: str) -> str:
        pipeline = self.client.pipeline(transaction=True)
        pipeline.execute_command("XADD", self.keys.orders, "MAXLEN", "~", ORDERS_KEPT, entry_id, *order_fields(order))
        pipeline.publish(self.keys.wake, "order")
        placed, _ = pipeline.execute()
        return text(placed)

    def history(self, after: str, *, wait_s: float) -> Sequence[tuple[str, Happening]]:
        """Happenings after that id, oldest first; waits up to `wait_s` for the first of them.

        Where the server lost its newest data and its clock went back, ids begin again before `after`: what comes after
        the last that this desk has told of, and that is still there, is new, and who reads on goes by its ids.
        """
        if after and not stream_id(after):
            raise ValueError(f"history: an id looks like 1700000000000-0, was {after[:80]!r}")
        with reaching(self.shown):
            if after and not self._told:
                self._tell(self._back(after)[::-1])  # who reads on from there has read these
            for _ in range(max(1, math.ceil(wait_s / PIECE_S))):
                found = self._history(after or "0-0", min(wait_s, PIECE_S))
                if found:
                    return found
        return ()

    def _history(self, after: str, wait_s: float) -> Sequence[tuple[str, Happening]]:
        # BLOCK 0 would wait for ever.
        block = ("BLOCK", max(1, int(wait_s * 1000))) if wait_s > 0 else ()
        pipeline = self.client.pipeline(transaction=False)
        pipeline.execute_command("XREAD", *block, "STREAMS", self.keys.events, after)
        pipeline.execute_command("TIME")
        reply, time = pipeline.execute(raise_on_error=False)
        if wrong_type(reply) or wrong_type(time):
            raise StoreUnavailableError(
                f"Redis at {self.shown}: {self.keys.events} must be a stream, is something else"
            )
        found = _read(reply)
        if not found and entry_order(after) > (_milliseconds(time),):
            found = self._begun_again(after)
        self._tell(found)
        return found

    def _begun_again(self, after: str) -> tuple[tuple[str, Happening], ...]:
        """What is new in a history that goes on before `after`, as the server's clock does."""
        newest = self._back("+", "COUNT", 1)
        if after not in self._told or not newest or entry_order(newest[0][0]) >= entry_order(after):
            return ()
        if self._is_told(*newest[0]):
            return ()
        whole = self._back("+")[::-1]
        told = [at for at, entry in enumerate(whole) if self._is_told(*entry)]
        return whole[told[-1] + 1 :] if told else whole

    def _back(self, first: str, *count: str | int) -> tuple[tuple[str, Happening], ...]:
        pipeline = self.client.pipeline(transaction=False)
        pipeline.execute_command("XREVRANGE", self.keys.events, first, "-", *count)
        [reply] = pipeline.execute(raise_on_error=False)
        return () if wrong_type(reply) else tuple((text(entry), read_happening(entry, one)) for entry, one in reply)

    def _tell(self, found: Sequence[tuple[str, Happening]]) -> None:
        self._told.update((entry_id, hash(one)) for entry_id, one in found)
        if len(self._told) > TOLD:
            self._told = dict([*self._told.items()][-TOLD:])

    def _is_told(self, entry_id: str, happening: Happening) -> bool:
        return self._told.get(entry_id) == hash(happening)

    def close(self) -> None:
        """Let the connections go."""
        close(self.client)


def _read(reply: Any) -> tuple[tuple[str, Happening], ...]:  # noqa: ANN401  # a reply as the client parses it
    streams: list[Any] = list(reply.items()) if isinstance(reply, dict) else reply or []
    return tuple((text(entry_id), read_happening(entry_id, one)) for _, entries in streams for entry_id, one in entries)


def _milliseconds(time: tuple[int, int]) -> int:
    seconds, micros = time
    return seconds * 1000 + micros // 1000


def _ages(scalers: Any, time: Any) -> tuple[tuple[str, float], ...]:  # noqa: ANN401  # replies as the client parses them
    seconds, micros = time
    now = seconds + micros / 1_000_000
    pairs = zip(scalers[::2], scalers[1::2], strict=True)
    return tuple((text(scaler), round(max(0.0, now - float(seen)), 3)) for scaler, seen in pairs)
