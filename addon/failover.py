"""The only place where a request can still move: before a new connection to its backend is opened."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import defaultdict
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING

from mitmproxy import ctx

if TYPE_CHECKING:
    from mitmproxy.connection import Client, Server
    from mitmproxy.proxy.server_hooks import ServerConnectionHookData

    from addon.counter import Token
    from addon.options import Configuration
    from addon.plane import Plane

PROBE_S = 0.5
MAX_CONNECTIONS = 256
NO_BACKEND = "no backend accepted the connection"


class Dialled(Enum):
    """What a connect probe met."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAILED = "failed"


MEANINGS = {0: Dialled.ACCEPTED, errno.EISCONN: Dialled.ACCEPTED, errno.ECONNREFUSED: Dialled.REFUSED}


class Failover:
    """Probes each backend before mitmproxy connects to it, and moves on to another while none accepts."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def client_connected(self, client: Client) -> None:
        """Lift mitmproxy's limit of five connections to one address for each client connection.

        Each request of an HTTP/2 client takes a connection of its own here, and the sixth event stream would wait
        until one of the first five ends.
        """
        handler = ctx.master.addons.get("proxyserver").connections.get(client.id)
        if handler is not None:
            handler.max_conns = defaultdict(lambda: asyncio.Semaphore(MAX_CONNECTIONS))

    async def server_connect(self, data: ServerConnectionHookData) -> None:
        """Set the address of a backend that accepts connections, or the error that makes mitmproxy answer 502."""
        plane = self._configuration.plane
        token = _token(plane, data)
        if token is None:
            # Not one of our backends: the mode's dummy target, or a request that is not forwarded.
            data.server.error = data.server.error or NO_BACKEND
            return
        try:
            await _settle(plane, token, data.server)
        except asyncio.CancelledError:
            # The client left. mitmproxy does not call `error` for a request that was cancelled in this hook.
            plane.end(token, status=0)
            raise

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        """Give the failed connection another address.

        For an HTTP/2 client mitmproxy would take its error as the answer of this address for as long as that client
        stays connected.
        """
        if not data.server.connected:
            data.server.address = ("failed.invalid", 1)


def _token(plane: Plane, data: ServerConnectionHookData) -> Token | None:
    address = data.server.address
    upstream = plane.roster.at((address[0], address[1])) if address else None
    return plane.dialling(upstream, data.client.id) if upstream else None


async def _settle(plane: Plane, token: Token, server: Server) -> None:
    upstream = token.upstream
    while upstream is not None:
        met = await probe(upstream.address)
        if met is Dialled.ACCEPTED:
            server.address = upstream.address
            return
        upstream = await plane.elsewhere(token, refused=met is Dialled.REFUSED)
    server.error = NO_BACKEND


async def probe(address: tuple[str, int]) -> Dialled:
    """Connect and disconnect, within `PROBE_S`."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as trial:
        met = trial.connect_ex(address)
        if met == errno.EINPROGRESS:
            await _answered(trial)
            # The socket is asked, not the clock: a loop that stood still has not looked at what came in time.
            met = trial.connect_ex(address)
    return MEANINGS.get(met, Dialled.FAILED)


async def _answered(trial: socket.socket) -> None:
    loop, answered = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(trial, answered.set)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(PROBE_S):
                await answered.wait()
    finally:
        loop.remove_writer(trial)
