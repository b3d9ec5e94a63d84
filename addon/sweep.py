"""Gets what apps kept of requests that did not fail here: slow ones, and crashes that another proxy left behind."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from fleet.clock import Clock
from fleet.crash_told import Found
from fleet.profile_client import NotHadError, ProfileClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from addon.counter import Upstream
    from fleet.crash_journal import Journal
    from fleet.crash_packing import Packer

log = logging.getLogger(__name__)

SWEEP_S = 10.0
# An app without the middleware, or with another token, is not asked again for so long.
UNSERVED_S = 60.0
# What is younger may be another plane's, which comes for it.
OTHERS_S = 3.0
# Apps that are asked at once, and what is taken from one of them in one sweep.
AT_ONCE = 2
MOST_TAKEN = 20


class Sweep:
    """`run` asks all that serve, every `SWEEP_S`, until it is cancelled."""

    def __init__(self, journal: Journal, token: str, proxy: str, upstreams: Callable[[], Iterable[Upstream]]) -> None:
        self._journal = journal
        self._token = token
        self._proxy = proxy
        self._upstreams = upstreams
        self._clock = Clock()
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._unserved_until_s: dict[str, float] = {}

    async def run(self, packer: Packer, is_awaited: Callable[[str], bool]) -> None:
        """Leaves alone whose id `is_awaited` by somebody here."""
        async with ProfileClient(self._token, limit=AT_ONCE) as client:
            while True:
                await asyncio.sleep(SWEEP_S)
                now = monotonic()
                self._unserved_until_s = {url: until for url, until in self._unserved_until_s.items() if until > now}
                due = [one for one in self._upstreams() if one.serving and one.url not in self._unserved_until_s]
                await asyncio.gather(*(self._look(client, packer, one, is_awaited) for one in due))

    async def _look(
        self, client: ProfileClient, packer: Packer, upstream: Upstream, is_awaited: Callable[[str], bool]
    ) -> None:
        async with self._turn:
            with suppress(NotHadError):  # it may have ended; the next sweep asks again
                listed = await client.waiting(upstream.url)
                if listed is None:
                    self._unserved_until_s[upstream.url] = monotonic() + UNSERVED_S
                left = [one.id for one in listed or () if one.age_s >= OTHERS_S and not is_awaited(one.id)]
                for crash_id in left[:MOST_TAKEN]:
                    await self._take(client, packer, upstream, crash_id)

    async def _take(self, client: ProfileClient, packer: Packer, upstream: Upstream, crash_id: str) -> None:
        raw = await client.document(upstream.url, crash_id)
        if raw is None:
            return
        found = Found(self._clock.now(), "mitmproxy", self._proxy, upstream.name)
        try:
            packed = await packer.packed(raw, crash_id, found)
        except ValueError as error:
            log.warning("stoker: what %s gave as the profile %s is not used: %s", upstream.name, crash_id, error)
        else:
            self._journal.note(packed.failure)
            await self._journal.keep(packed.capture, packed.content)
        await client.remove(upstream.url, crash_id)
