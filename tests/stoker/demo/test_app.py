from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from stoker.demo.app import App, frame, read_frame
from stoker.demo.client import Client, Kind
from tests.valkey import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def running(rate: float = 1000.0) -> AsyncIterator[tuple[App, Client]]:
    app, port = App("shop7", rate), free_port()
    serving = asyncio.ensure_future(app.run("127.0.0.1", port))
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0)
        else:
            writer.close()
            break
    client = Client("127.0.0.1", port, slow_s=0.1)
    try:
        yield app, client
    finally:
        client.close()
        app.ending.set()
        await serving


@pytest.mark.parametrize("kind", list(Kind))
async def test_every_kind_of_request_is_answered_by_the_named_instance(kind: Kind) -> None:
    async with running() as (_, client):
        assert (await client.send(kind)).served_by == "shop7"


async def test_a_kept_connection_carries_the_next_request() -> None:
    async with running() as (app, client):
        await client.send(Kind.KEPT)
        await client.send(Kind.KEPT)
        assert (2, 1) == (app.served, len(client._idle))


async def test_it_carries_its_rate_and_no_more() -> None:
    async with running(rate=20.0) as (_, client):
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*(client.send(Kind.NEW) for _ in range(8)))
        assert 8 / 20 <= loop.time() - began + 0.001


async def test_health_does_not_wait_for_a_turn() -> None:
    async with running(rate=0.1) as (app, client):
        reader, writer = await asyncio.open_connection(client.address, client.port)
        writer.write(b"GET /up HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()
        assert app.served == 0


async def test_a_chunked_body_comes_back() -> None:
    async with running() as (_, client):
        reader, writer = await asyncio.open_connection(client.address, client.port)
        head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        writer.write(head + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        assert (await reader.read()).endswith(b"\r\n\r\nhello world")
        writer.close()


async def test_what_is_under_way_is_answered_after_the_signal_to_end() -> None:
    async with running() as (app, client):
        answer = asyncio.ensure_future(client.send(Kind.SLOW))
        while not app.served:  # noqa: ASYNC110  # the app needs no event for this, a test does
            await asyncio.sleep(0)
        app.ending.set()
        assert (await answer).served_by == "shop7"


@pytest.mark.parametrize("text", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"\x16\x03\x01"])
async def test_what_is_not_http_ends_its_own_connection_only(text: bytes) -> None:
    async with running() as (_, client):
        reader, writer = await asyncio.open_connection(client.address, client.port)
        writer.write(text)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        assert (await client.send(Kind.NEW)).status == 200


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
@pytest.mark.parametrize("mask", [b"", b"\x01\x02\x03\x04"])
async def test_a_frame_reads_back_whatever_its_size_and_mask(size: int, mask: bytes) -> None:
    reader = asyncio.StreamReader()
    payload = bytes(range(256)) * (size // 256 + 1)
    reader.feed_data(frame(1, payload[:size], mask))
    assert (1, payload[:size]) == await read_frame(reader)
