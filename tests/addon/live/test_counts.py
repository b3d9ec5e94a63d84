"""In flight returns to zero, and each request is counted once, whichever way it ends."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.addon.backends import backend
from tests.addon.rig import client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fleet.registry import ProxyReading
    from tests.addon.backends import Backend
    from tests.addon.rig import Client, Proxy

pytestmark = pytest.mark.live


@asynccontextmanager
async def one_backend(plane: Proxy) -> AsyncIterator[tuple[Backend, Client, ProxyReading]]:
    """A new backend that serves alone, a connection, and the counters before, told with what is applied."""
    async with backend("production1") as one, client(plane.port) as connection:
        await plane.serve(one)
        yield one, connection, await plane.idle()


async def ended(plane: Proxy, before: ProxyReading) -> tuple[int, int, int]:
    """Arrivals, errors and refused of the one backend, once one more request has ended and nothing is in flight."""
    after = await plane.idle(before.arrivals + 1)
    assert after.arrivals == before.arrivals + 1
    assert after.backends is not None
    counted = after.backends["production1"]
    return counted.arrivals, counted.errors, counted.refused


async def test_a_request_is_in_flight_from_its_headers_to_its_answer(plane: Proxy) -> None:
    async with one_backend(plane) as (one, connection, before):
        connection.send("/wait")
        during = await plane.until(lambda reading: reading.in_flight == 1)
        assert during.backends is not None
        assert during.backends["production1"].in_flight == 1
        assert (during.arrivals, during.completions) == (before.arrivals + 1, before.completions)
        one.go.set()
        assert (await connection.answer()).body == b"production1"
        assert await ended(plane, before) == (1, 0, 0)


async def test_a_head_request_ends(plane: Proxy) -> None:
    async with one_backend(plane) as (_, connection, before):
        answer = await connection.ask("/", method="HEAD")
        assert (answer.status, answer.headers["content-length"]) == (200, "11")
        assert await ended(plane, before) == (1, 0, 0)


async def test_an_error_of_the_app_is_counted_as_one(plane: Proxy) -> None:
    async with one_backend(plane) as (_, connection, before):
        assert (await connection.ask("/bad")).status == 500
        assert await ended(plane, before) == (1, 1, 0)
        assert (await plane.idle()).errors_5xx == before.errors_5xx + 1


async def test_a_client_that_leaves_while_it_waits_is_not_the_backends_error(plane: Proxy) -> None:
    async with one_backend(plane) as (_, connection, before):
        connection.send("/wait")
        await plane.until(lambda reading: reading.in_flight == 1)
        connection.abort()
        assert await ended(plane, before) == (1, 0, 0)


async def test_a_client_that_leaves_in_the_middle_of_an_answer_ends_it(plane: Proxy) -> None:
    async with one_backend(plane) as (_, connection, before):
        connection.send("/half")
        await connection.head()
        connection.abort()
        assert await ended(plane, before) == (1, 0, 0)


async def test_a_client_that_leaves_in_the_middle_of_its_upload_ends_it(plane: Proxy) -> None:
    async with one_backend(plane) as (one, connection, before):
        connection.send("/", "Content-Length: 1000000", method="POST")
        connection.writer.write(b"x" * 1000)
        async with asyncio.timeout(30):
            await one.arrived.wait()
        connection.abort()
        assert await ended(plane, before) == (1, 0, 0)


async def test_a_backend_that_drops_the_request_is_a_broken_answer(plane: Proxy) -> None:
    async with one_backend(plane) as (_, connection, before):
        answer = await connection.ask("/drop")
        assert answer.status == 502
        assert await ended(plane, before) == (1, 1, 0)


async def test_a_backend_that_breaks_off_its_answer_is_a_broken_answer(plane: Proxy) -> None:
    async with one_backend(plane) as (one, connection, before):
        connection.send("/half")
        await connection.head()
        one.go.set()
        assert await ended(plane, before) == (1, 1, 0)


async def test_a_websocket_is_in_flight_until_it_is_closed(plane: Proxy) -> None:
    async with one_backend(plane) as (_, _, before), aiohttp.ClientSession() as session:
        async with session.ws_connect(f"http://127.0.0.1:{plane.port}/socket") as socket:
            await socket.send_str("hello")
            assert (await socket.receive(30)).data == "hello"
            during = await plane.until(lambda reading: reading.in_flight == 1)
            assert during.completions == before.completions
        assert await ended(plane, before) == (1, 0, 0)


async def test_a_websocket_that_is_torn_off_ends(plane: Proxy) -> None:
    async with one_backend(plane) as (one, connection, before):
        connection.send("/socket", *WEBSOCKET)
        assert (await connection.head()).status == 101
        await plane.until(lambda reading: reading.in_flight == 1)
        connection.abort()
        assert await ended(plane, before) == (1, 0, 0)
        async with asyncio.timeout(30):
            await one.gone.wait()


async def test_an_upgrade_to_another_protocol_is_in_flight_until_its_client_leaves(plane: Proxy) -> None:
    async with one_backend(plane) as (_, connection, before):
        connection.send("/socket", "Upgrade: other", "Connection: Upgrade", "Sec-WebSocket-Key: x")
        assert (await connection.head()).status == 101
        await plane.until(lambda reading: reading.in_flight == 1)
        connection.abort()
        assert await ended(plane, before) == (1, 0, 0)


async def test_requests_that_are_never_forwarded_count_nothing(plane: Proxy) -> None:
    async with one_backend(plane) as (one, connection, before):
        assert (await connection.ask("/__stoker/anything")).status == 404
        assert (await connection.ask("/__stokers")).status == 200
        assert await ended(plane, before) == (1, 0, 0)
        assert ["GET /__stokers HTTP/1.1"] == [asked.line for asked in one.asked]


WEBSOCKET = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
