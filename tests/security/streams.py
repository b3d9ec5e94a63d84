"""A client that sends any HTTP/2 request, whatever the standard says of it."""

from __future__ import annotations

import asyncio
import ssl
from functools import cache
from typing import TYPE_CHECKING

import h2.config  # type: ignore[import-untyped]
import h2.connection  # type: ignore[import-untyped]
import h2.events  # type: ignore[import-untyped]
from h2.exceptions import ProtocolError  # type: ignore[import-untyped]

from tests.security.recorder import SETTLED_S, SILENT_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.security.corpus import Pairs

ENDED = h2.events.StreamReset | h2.events.ConnectionTerminated


async def status_of(
    port: int,
    pairs: Pairs,
    pieces: Sequence[bytes] = (),
    trailers: Pairs | None = None,
    *,
    silent_s: float = SILENT_S,
) -> int | None:
    """The answer's status; None where the server resets the stream, ends the connection or says nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=_http2(), server_hostname="app.example")
    wire = h2.connection.H2Connection(
        h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
    )
    wire.initiate_connection()
    wire.send_headers(1, pairs, end_stream=not pieces and trailers is None)
    for number, piece in enumerate(pieces, start=1):
        wire.send_data(1, piece, end_stream=number == len(pieces) and trailers is None)
    if trailers is not None:
        wire.send_headers(1, trailers, end_stream=True)
    writer.write(wire.data_to_send())
    try:
        return await _status(wire, reader, silent_s)
    finally:
        writer.transport.abort()


@cache
def _http2() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


async def _status(wire: h2.connection.H2Connection, reader: asyncio.StreamReader, silent_s: float) -> int | None:
    found: int | None = None
    while True:
        try:
            async with asyncio.timeout(silent_s if found is None else SETTLED_S):
                data = await reader.read(65_536)
            events = wire.receive_data(data) if data else []
        except (TimeoutError, ConnectionError, ProtocolError):
            return found
        if not data or any(isinstance(event, ENDED) for event in events):
            return found
        for event in events:
            if isinstance(event, h2.events.ResponseReceived):
                found = int(dict(event.headers or [])[b":status"])
