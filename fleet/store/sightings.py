"""From the proxies' keys to a Sighting, in one round trip as long as no proxy is new."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import redis

from fleet.registry import ProxyReading, Sighting
from fleet.store.connection import wrong_type
from fleet.store.fields import text
from fleet.store.keys import Keys
from fleet.store.readings import READING_FIELDS, read_reading

if TYPE_CHECKING:
    from collections.abc import Sequence


PROXY_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass(slots=True)
class SightingReader:
    """Remembers the ids of the last time, so that ids and counters can be asked for at once."""

    client: redis.Redis
    keys: Keys
    _known: tuple[str, ...] = ()
    _faults: list[str] = field(default_factory=list)

    def read(self, *, detail: bool) -> Sighting:
        """Every proxy's counters as they are now."""
        replies = self._ask(self._known, detail=detail)
        listed, readings = replies[0], dict(zip(self._known, replies[1:], strict=True))
        self._faults = []
        ids = self._ids(listed)
        new = tuple(proxy for proxy in ids if proxy not in readings)
        if new:
            readings |= dict(zip(new, self._ask(new, detail=detail)[1:], strict=True))
        self._known = ids
        return self._sighting(ids, readings)

    def _ask(self, ids: Sequence[str], *, detail: bool) -> list[object]:
        names = [*READING_FIELDS, "backends"] if detail else list(READING_FIELDS)
        pipeline = self.client.pipeline(transaction=False)
        pipeline.zrange(self.keys.proxies, 0, -1)
        for proxy in ids:
            pipeline.execute_command("HMGET", self.keys.proxy(proxy), *names)
        return pipeline.execute(raise_on_error=False)

    def _ids(self, listed: object) -> tuple[str, ...]:
        if wrong_type(listed):
            self._faults.append(f"{self.keys.proxies}: must be a sorted set, is of another type")
        names = [text(member) for member in listed] if isinstance(listed, list) else []
        bad = [name for name in names if not PROXY_ID.fullmatch(name)]
        self._faults += [f"{self.keys.proxies}: {name[:80]!r} is no proxy's id" for name in bad]
        return tuple(sorted(set(names) - set(bad)))

    def _sighting(self, ids: Sequence[str], readings: dict[str, object]) -> Sighting:
        seen: list[ProxyReading] = []
        silent: list[str] = []
        for proxy in ids:
            try:
                reading = self._reading(proxy, readings[proxy])
            except ValueError as error:
                self._faults.append(str(error))
                reading = None
            if reading is None:
                silent.append(proxy)
            else:
                seen.append(reading)
        return Sighting(tuple(seen), tuple(silent), tuple(self._faults))

    def _reading(self, proxy: str, reply: object) -> ProxyReading | None:
        """None where the key is gone."""
        if wrong_type(reply) or not isinstance(reply, list):
            raise ValueError(f"{self.keys.proxy(proxy)}: must be a hash, is of another type")
        values, detail = reply[: len(READING_FIELDS)], reply[len(READING_FIELDS) :]
        if not any(value is not None for value in reply):
            return None
        return read_reading(proxy, values, detail[0] if detail else None)
