"""Bodies pass as they come, in both directions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.addon.backends import backend
from tests.addon.rig import client

if TYPE_CHECKING:
    from tests.addon.rig import Proxy

pytestmark = pytest.mark.live


async def test_an_event_arrives_before_the_stream_ends(plane: Proxy) -> None:
    async with backend("production1") as one, client(plane.port) as connection, asyncio.timeout(30):
        await plane.serve(one)
        connection.send("/events")
        assert (await connection.head()).headers["content-type"] == "text/event-stream"
        assert await connection.reader.readuntil(b"\n\n\r\n") == b"9\r\ndata: 1\n\n\r\n"
        one.go.set()
        assert await connection.reader.readuntil(b"0\r\n\r\n") == b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"
        await plane.idle()


async def test_an_upload_reaches_the_backend_before_it_is_complete(plane: Proxy) -> None:
    async with backend("production1") as one, client(plane.port) as connection, asyncio.timeout(30):
        await plane.serve(one)
        connection.send("/", "Transfer-Encoding: chunked", method="POST")
        connection.writer.write(b"5\r\nhello\r\n")
        await one.arrived.wait()
        connection.writer.write(b"6\r\n world\r\n0\r\n\r\n")
        assert (await connection.answer()).status == 200
        assert one.asked[0].body == b"hello world"
        await plane.idle()


async def test_the_backend_sees_the_clients_host_and_our_forwarding_headers_only(plane: Proxy) -> None:
    async with backend("production1") as one, client(plane.port) as connection:
        await plane.serve(one)
        await connection.ask(
            "/", "X-Forwarded-For: 6.6.6.6", "Forwarded: for=6.6.6.6", "X-Request-Id: theirs", "X-Stoker-Admin: 1"
        )
        asked = one.asked[0]
        assert asked.header("host") == "app.example"
        assert asked.header("x-forwarded-for") == "127.0.0.1"
        assert (asked.header("x-forwarded-proto"), asked.header("x-forwarded-host")) == ("http", "app.example")
        assert (asked.header("forwarded"), asked.header("x-stoker-admin")) == (None, None)
        assert asked.header("x-request-id") not in {None, "theirs"}
        await plane.idle()
