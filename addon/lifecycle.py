"""The proxy's start and end inside mitmdump: in between the store's loops run, and the end waits for requests."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING

from mitmproxy import ctx

from addon.access import witnessed
from addon.metrics import exported
from addon.supervised import Supervised
from fleet.errors import SettingsError, StoreUnavailableError
from fleet.presence import Presence
from fleet.snapshot_file import snapshot_file
from fleet.store.opening import open_noticeboard

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mitmproxy.addons.proxyserver import Proxyserver

    from addon.capture import Capture
    from addon.options import Configuration

log = logging.getLogger(__name__)

RESTART_S = 1.0
STEP_S = 0.02
FLUSH_S = 2.0


class Lifecycle:
    """`running` and `done` are plain functions: a script that is reloaded calls them outside of any task."""

    def __init__(self, configuration: Configuration, capture: Capture) -> None:
        self._configuration = configuration
        self._capture = capture
        self._reporting = Supervised("reporting", self._run)

    def running(self) -> None:
        """Begin to report and to learn."""
        if self._configuration.ready and not self._reporting.started:
            self._reporting.start()

    def done(self) -> Awaitable[None] | None:
        """End: at once when the script is reloaded, after a drain (which is awaited) when mitmdump ends."""
        if not self._reporting.started:
            return None
        if ctx.master.should_exit.is_set():
            return self._leave()
        self._reporting.stop()
        return None

    async def _run(self) -> None:
        settings, plane = self._configuration.settings, self._configuration.plane
        board = None
        while board is None:
            try:
                board = open_noticeboard(settings)
            except (StoreUnavailableError, SettingsError) as error:
                log.warning("stoker: %s", error)
                await asyncio.sleep(RESTART_S)
        presence = Presence(plane, board, snapshot_file(settings, plane.id), _say)
        try:
            with witnessed(settings, plane), exported(settings, plane, presence, self._capture, _say):
                await presence.run()
        finally:
            if plane.draining:
                await presence.leave()
            await board.aclose()

    async def _leave(self) -> None:
        plane, limit_s = self._configuration.plane, self._configuration.settings.proxy.drain_s
        deadline_s = monotonic() + limit_s + FLUSH_S
        proxyserver: Proxyserver = ctx.master.addons.get("proxyserver")
        transports = _client_transports(proxyserver)
        await proxyserver.servers.update([])
        plane.drain()
        try:
            async with asyncio.timeout(limit_s):
                await plane.drained.wait()
        except TimeoutError:
            log.warning("stoker: %g s are over, cutting requests in flight", limit_s)
            plane.hold.close()
        # The last hook comes before the last bytes are written, and no hook tells when the client has them.
        await asyncio.sleep(STEP_S)
        while any(transport.get_write_buffer_size() for transport in transports) and monotonic() < deadline_s:  # noqa: ASYNC110  # no event
            await asyncio.sleep(STEP_S)
        await self._reporting.end()


def _say(line: str) -> None:
    log.warning("stoker: %s", line)


def _client_transports(proxyserver: Proxyserver) -> list[asyncio.WriteTransport]:
    """What is written to here must reach the clients before the process ends, also on connections already closed."""
    transports: list[asyncio.WriteTransport] = []
    for handler in proxyserver.connections.values():
        found = handler.transports.get(handler.client)
        if found is not None and isinstance(found.writer, asyncio.StreamWriter):
            transports.append(found.writer.transport)
    return transports
