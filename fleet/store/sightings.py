"""From the proxies' keys to a Sighting, in one round trip as long as no proxy is new."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import redis

from fleet.registry import PROXY_TTL_S, Detail, Outcomes, ProxyReading, Sighting
from fleet.store.connection import wrong_type
from fleet.store.fields import text
from fleet.store.keys import Keys
from fleet.store.readings import (
    COLUMNS,
    DETAIL_COLUMNS,
    OUTCOME_COLUMNS,
    READING_FIELDS,
    Table,
    column_fields,
    read_reading,
    read_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


# What a proxy last found in its own keys that it had not written.
MENDED, LONGEST_MENDED, MOST_MET = "mended", 400, 20
PROXY_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass(slots=True)
class SightingReader:
    """Remembers the ids of the last time, so that ids and counters can be asked for at once.

    What is no id is a fault where `strays` says so; the acting scaler removes it, and tells that.
    """

    client: redis.Redis
    keys: Keys
    strays: bool = False
    _known: tuple[str, ...] = ()
    _faults: list[str] = field(default_factory=list)
    _mended: dict[str, str] = field(default_factory=dict)
    met: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_MET))

    def read(self, *, detail: bool, outcomes: bool = False) -> Sighting:
        """Every proxy's counters as they are now."""
        more = OUTCOME_COLUMNS if outcomes else ()
        sighting, tables = self._read((*DETAIL_COLUMNS, *more) if detail else ())
        if not detail:
            return sighting
        found = _detail(tables)
        return replace(sighting, detail=replace(found, outcomes=_outcomes(tables)) if outcomes else found)

    def read_backends(self) -> Sighting:
        """The same, every reading with all that it says of single backends."""
        sighting, tables = self._read(COLUMNS)
        readings = (replace(reading, backends=tables[reading.id].rows()) for reading in sighting.readings)
        return replace(sighting, readings=tuple(readings))

    def _read(self, columns: Sequence[str]) -> tuple[Sighting, dict[str, Table]]:
        listed, lasting, *replies = self._ask(self._known, columns)
        found = dict(zip(self._known, replies, strict=True))
        self._faults = []
        ids = self._members(self.keys.proxies, listed, "a sorted set")
        new = tuple(proxy for proxy in ids if proxy not in found)
        if new:
            found |= dict(zip(new, self._ask(new, columns)[2:], strict=True))
        self._known = ids
        return self._sighting(ids, found, columns, self._members(self.keys.lasting, lasting, "a set"))

    def _ask(self, ids: Sequence[str], columns: Sequence[str]) -> list[object]:
        names = [*READING_FIELDS, *column_fields(columns), MENDED]
        pipeline = self.client.pipeline(transaction=False)
        pipeline.zrange(self.keys.proxies, 0, -1)
        pipeline.smembers(self.keys.lasting)
        for proxy in ids:
            pipeline.execute_command("HMGET", self.keys.proxy(proxy), *names)
            pipeline.execute_command("PTTL", self.keys.proxy(proxy))
        listed, lasting, *replies = pipeline.execute(raise_on_error=False)
        return [listed, lasting, *map(_unless_overdue, replies[::2], replies[1::2])]

    def _members(self, key: str, listed: object, kind: str) -> tuple[str, ...]:
        if wrong_type(listed):
            self._faults.append(f"{key}: must be {kind}, is of another type")
        names = {text(member) for member in listed} if isinstance(listed, list | set) else set()
        bad = sorted(name for name in names if not PROXY_ID.fullmatch(name))
        if self.strays:
            self._faults += [f"{key}: {name[:80]!r} is no proxy's id" for name in bad]
        return tuple(sorted(names.difference(bad)))

    def _sighting(
        self, ids: Sequence[str], replies: dict[str, object], columns: Sequence[str], lasting: Sequence[str]
    ) -> tuple[Sighting, dict[str, Table]]:
        seen: list[ProxyReading] = []
        silent: list[str] = []
        tables: dict[str, Table] = {}
        names: dict[object, tuple[str, ...]] = {}
        for proxy in ids:
            try:
                values = self._values(proxy, replies[proxy])
                if values is None:
                    silent.append(proxy)
                    continue
                self._notice(proxy, values[-1])
                reading = read_reading(proxy, values[: len(READING_FIELDS)])
                if columns:
                    tables[proxy] = read_table(proxy, columns, values[len(READING_FIELDS) : -1], names)
                seen.append(reading)
            except ValueError as error:
                self._faults.append(str(error))
                silent.append(proxy)
        kept = frozenset(silent).intersection(lasting)
        return Sighting(tuple(seen), tuple(silent), tuple(self._faults), kept), tables

    def _notice(self, proxy: str, mended: object) -> None:
        """A proxy says what it last found in its keys, for as long as it runs; what it said before is not news."""
        told = text(mended)[:LONGEST_MENDED]
        if told and self._mended.get(proxy, told) != told:
            self.met.append(told.partition(" ")[2])
        self._mended[proxy] = told

    def _values(self, proxy: str, reply: object) -> Sequence[object] | None:
        """None where the key is gone."""
        if wrong_type(reply) or not isinstance(reply, list):
            raise ValueError(f"{self.keys.proxy(proxy)}: must be a hash, is of another type")
        return reply if any(value is not None for value in reply) else None


def _unless_overdue(values: object, ttl_ms: object) -> object:
    """No values where the key lives longer than it was given: the server's clock went back, and nobody wrote since."""
    overdue = isinstance(ttl_ms, int) and ttl_ms > PROXY_TTL_S * 1000
    return [] if overdue and isinstance(values, list) else values


def _detail(tables: dict[str, Table]) -> Detail:
    """Tables that list the same backends are added up by column: a thousand sums, not fifty thousand additions."""
    alike: dict[tuple[str, ...], list[Sequence[int]]] = {}
    for table in tables.values():
        alike.setdefault(table.names, []).append(table.columns["in_flight"])
    in_flight: dict[str, int] = {}
    for names, columns in alike.items():
        _add(in_flight, zip(names, map(sum, zip(*columns, strict=True)), strict=True))
    refused = {proxy: told for proxy, table in tables.items() if (told := table.above_zero("refused"))}
    return Detail(in_flight, refused)


def _outcomes(tables: dict[str, Table]) -> dict[str, dict[str, Outcomes]]:
    return {proxy: table.outcomes() for proxy, table in tables.items()}


def _add(totals: dict[str, int], more: Iterable[tuple[str, int]]) -> None:
    for name, count in more:
        if count:
            totals[name] = totals.get(name, 0) + count
