"""Requests that are built to pass for something else."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import h2.config  # type: ignore[import-untyped]
import h2.connection  # type: ignore[import-untyped]
import h2.events  # type: ignore[import-untyped]
import pytest

from tests.addon.backends import backend
from tests.addon.rig import client

if TYPE_CHECKING:
    from tests.addon.rig import Proxy

pytestmark = pytest.mark.live

HEAD = [(":method", "GET"), (":scheme", "https"), (":authority", "app.example")]


@pytest.mark.parametrize(
    "wire",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET /\r\n\r\n",
        b"CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ],
)
async def test_malformed_http_gets_400_and_reaches_no_backend(plane: Proxy, wire: bytes) -> None:
    async with backend("production1") as one, client(plane.port) as connection:
        await plane.serve(one)
        connection.writer.write(wire)
        assert (await connection.head()).status == 400
        assert [] == one.asked
    await plane.idle()


async def test_an_absolute_target_goes_to_our_backend_and_nowhere_else(plane: Proxy) -> None:
    async with backend("production1") as one, backend("other") as other:
        await plane.serve(one)
        target = f"http://127.0.0.1:{other.port}/x"
        async with client(plane.port) as connection:
            # Host names another one.
            assert (await connection.ask(target)).status == 400
        async with client(plane.port) as connection:
            connection.writer.write(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{other.port}\r\n\r\n".encode())
            assert (await connection.answer()).body == b"production1"
        assert ["GET /x HTTP/1.1"] == [asked.line for asked in one.asked]
        assert [] == other.asked
    await plane.idle()


@pytest.mark.parametrize(
    "headers",
    [
        [(":path", "/"), ("x", "1\r\nx-admin: 1")],
        [(":path", "/"), ("x\r\nx-admin", "1")],
        [(":path", "/"), ("x", "1\0")],
        [(":path", "/ HTTP/1.1\r\nx-admin: 1\r\n\r\n")],
        [(":path", "/a b")],
    ],
)
async def test_http2_cannot_carry_a_line_break_to_an_http1_backend(
    plane: Proxy, headers: list[tuple[str, str]]
) -> None:
    async with backend("production1") as one:
        await plane.serve(one)
        assert await _http2_status(plane.port, HEAD + headers) in {400, None}
        assert [] == one.asked
    await plane.idle()


async def test_http2_works_and_keeps_its_authority_as_host(plane: Proxy) -> None:
    async with backend("production1") as one:
        await plane.serve(one)
        assert await _http2_status(plane.port, [*HEAD, (":path", "/")]) == 200
        assert one.asked[0].header("host") == "app.example"
        assert one.asked[0].header("x-forwarded-proto") == "https"
    await plane.idle()


async def test_many_requests_of_one_http2_client_wait_for_one_backend_at_once(plane: Proxy) -> None:
    async with backend("production1") as one, asyncio.timeout(30):
        await plane.serve(one)
        wire, reader, writer = await _http2(plane.port)
        for stream in range(1, 25, 2):
            wire.send_headers(stream, [*HEAD, (":path", "/wait")], end_stream=True)
        writer.write(wire.data_to_send())
        await plane.until(lambda reading: reading.in_flight == 12)
        while len(one.asked) < 12:
            one.arrived.clear()
            await one.arrived.wait()
        one.go.set()
        answered = 0
        while answered < 12:
            events = wire.receive_data(await reader.read(65_535))
            answered += sum(isinstance(event, h2.events.StreamEnded) for event in events)
        writer.transport.abort()
    await plane.idle()


async def _http2(port: int) -> tuple[h2.connection.H2Connection, asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="app.example")
    wire = h2.connection.H2Connection(
        h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
    )
    wire.initiate_connection()
    return wire, reader, writer


async def _http2_status(port: int, headers: list[tuple[str, str]]) -> int | None:
    """The status of one HTTP/2 request that this end does not check; None where the connection ends instead."""
    wire, reader, writer = await _http2(port)
    wire.send_headers(1, headers, end_stream=True)
    writer.write(wire.data_to_send())
    try:
        async with asyncio.timeout(30):
            while data := await reader.read(65_535):
                for event in wire.receive_data(data):
                    if isinstance(event, h2.events.ResponseReceived):
                        return int(dict(event.headers or [])[b":status"])
                    if isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                        return None
        return None
    finally:
        writer.transport.abort()
