"""A proxy's side of the store, for asyncio: its snapshot, its counters, its signs of life."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import redis.asyncio

from fleet.errors import StoreUnavailableError
from fleet.registry import PROXY_TTL_S, ProxyReading, Snapshot
from fleet.store.connection import TIMEOUT_S, aclose, reaching
from fleet.store.fields import number, text
from fleet.store.keys import Keys
from fleet.store.readings import reading_fields
from fleet.store.scripts import source
from fleet.store.snapshots import SnapshotReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


# A connection on which nothing was told for so long is tried by a ping.
QUIET_S = 5.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class RedisNoticeboard:
    """Implements Noticeboard on a Redis server."""

    client: redis.asyncio.Redis
    shown: str
    keys: Keys
    snapshots: SnapshotReader
    _last: Snapshot | None = None
    _warned: tuple[str, ...] = ()
    _mended: str = ""
    _report: Any = field(init=False)

    def __post_init__(self) -> None:
        self._report = self.client.register_script(source("report"))

    async def snapshot(self) -> Snapshot | None:
        """The registry, or None where the store holds no data (which is not an empty fleet).

        The same object as before while the generation is the same. A set that cannot be read as a whole is no data
        either, and is logged once.
        """
        with reaching(self.shown):
            pipeline = self.client.pipeline(transaction=False)
            pipeline.execute_command("GET", self.keys.generation)
            [generation] = await pipeline.execute(raise_on_error=False)
            if self._last is not None and number(generation) == self._last.generation:
                return self._last
            pipeline = self.client.pipeline(transaction=True)
            for command in self.snapshots.wanted:
                pipeline.execute_command(*command)
            registry = await pipeline.execute(raise_on_error=False)
            snapshot, faults = self.snapshots.read(*registry), self.snapshots.fault(registry[0])
        if snapshot is not None and snapshot.faults and not snapshot.backends:
            faults, snapshot = snapshot.faults, None
        if faults and faults != self._warned:
            log.warning("the registry cannot be read: %s", "; ".join(faults))
        self._last, self._warned = snapshot, faults
        return snapshot

    async def report(self, reading: ProxyReading) -> None:
        """Write this proxy's counters and its sign of life."""
        keys = [self.keys.proxy(reading.id), self.keys.proxies, self.keys.lasting]
        head = [reading.id, int(PROXY_TTL_S * 1000), int(reading.outlives_agent)]
        mended = ["mended", self._mended] if self._mended else []
        with reaching(self.shown):
            met = await self._report(keys, [*head, *reading_fields(reading), *mended])
        if met:
            # A proxy writes no history; the acting scaler reads this and does. The number tells two of a kind apart.
            self._mended = f"{secrets.token_hex(4)} {'; '.join(map(text, met))}"

    async def wake(self) -> None:
        """Ask the scaler to look at once, after `report` has shown what is held."""
        with reaching(self.shown):
            await self.client.publish(self.keys.wake, "held")

    async def leave(self, proxy: str) -> None:
        """Remove this proxy's traces on a clean end."""
        with reaching(self.shown):
            pipeline = self.client.pipeline(transaction=True)
            pipeline.delete(self.keys.proxy(proxy))
            pipeline.zrem(self.keys.proxies, proxy)
            pipeline.srem(self.keys.lasting, proxy)
            await pipeline.execute()

    async def changes(self) -> AsyncIterator[int]:
        """The generations as they are published; ends with StoreUnavailableError when the connection breaks."""
        with reaching(self.shown):
            async with self.client.pubsub() as subscription:
                await subscription.subscribe(self.keys.changes)
                pinged = False
                while True:
                    message = await subscription.get_message(timeout=TIMEOUT_S if pinged else QUIET_S)
                    if message is None and pinged:
                        raise StoreUnavailableError(f"Redis at {self.shown}: unreachable: no answer to a ping")
                    if message is None:
                        await subscription.ping()
                    pinged = message is None
                    if message and message["type"] == "message" and (told := number(message["data"])) is not None:
                        yield told

    async def aclose(self) -> None:
        """Let the connections go."""
        await aclose(self.client)
