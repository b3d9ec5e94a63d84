"""The `stoker` command's side of the store: everything at a glance, orders, and the history."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import redis

from fleet.registry import Status, entry_order
from fleet.store.connection import close, reaching, wrong_type
from fleet.store.definitions import read_releases
from fleet.store.fields import number, order_fields, read_summary, stream_id, text, to_milliseconds
from fleet.store.history import HistoryReader
from fleet.store.keys import Keys
from fleet.store.sightings import SightingReader
from fleet.store.snapshots import SnapshotReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.registry import Happening, Order, Snapshot

ORDERS_KEPT = 1000


@dataclass(slots=True)
class RedisDesk:
    """Implements Desk on a Redis server."""

    client: redis.Redis
    shown: str
    keys: Keys
    snapshots: SnapshotReader
    _sightings: SightingReader = field(init=False)
    _history: HistoryReader = field(init=False)

    def __post_init__(self) -> None:
        self._sightings = SightingReader(self.client, self.keys, strays=True)
        self._history = HistoryReader(self.client, self.shown, self.keys)

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
            if carried_out and entry_order(carried_out) >= (to_milliseconds(time),):
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
        """Happenings after that id, oldest first; waits up to `wait_s` for the first of them."""
        if after and not stream_id(after):
            raise ValueError(f"history: an id looks like 1700000000000-0, was {after[:80]!r}")
        with reaching(self.shown):
            return self._history.after(after, wait_s)

    def close(self) -> None:
        """Let the connections go."""
        close(self.client)


def _ages(scalers: Any, time: Any) -> tuple[tuple[str, float], ...]:  # noqa: ANN401  # replies as the client parses them
    seconds, micros = time
    now = seconds + micros / 1_000_000
    pairs = zip(scalers[::2], scalers[1::2], strict=True)
    return tuple((text(scaler), round(max(0.0, now - float(seen)), 3)) for scaler, seen in pairs)
