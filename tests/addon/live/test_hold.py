"""While nothing serves requests wait, and go in the order of their arrival, a few at a time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from fleet.backend import Phase
from fleet.settings import load
from tests.addon.backends import backend
from tests.addon.rig import client, proxy
from tests.valkey import listened_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.embedded import EmbeddedValkey
    from tests.addon.rig import Proxy

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def small(valkey: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that holds three requests, for some seconds."""
    folder = tmp_path_factory.mktemp("small")
    settings = load(None, fleet="small-hold", redis_url=valkey.url, state_dir=folder)
    with proxy(settings, folder, "stoker_hold=5", "stoker_hold_max=3") as running:
        yield running


async def test_held_requests_go_in_order_and_in_steps_once_a_backend_serves(plane: Proxy) -> None:
    async with backend("production1") as one, AsyncExitStack() as stack:
        await plane.serve(one, production1=Phase.WARMING)
        connections = [await stack.enter_async_context(client(plane.port)) for _ in range(9)]
        for number, connection in enumerate(connections):
            connection.send(f"/wait?{number}")
            # Nothing tells when one has arrived, and the next must not overtake it.
            await asyncio.sleep(0.01)
        await plane.until(lambda reading: reading.held == 9)
        published_s = monotonic()
        plane.fleet.publish(production1=Phase.SERVING)
        async with asyncio.timeout(30):
            while len(one.asked) < 9:
                one.arrived.clear()
                await one.arrived.wait()
        # Four go at once. Of those that are not answered each leaves its place to the next after a quarter of a second.
        arrived_s = [asked.at_s - published_s for asked in one.asked]
        assert 0.25 <= arrived_s[4]
        assert 0.5 <= arrived_s[8]
        one.go.set()
        assert [b"production1"] * 9 == [(await connection.answer()).body for connection in connections]
        assert [f"GET /wait?{number} HTTP/1.1" for number in range(9)] == [asked.line for asked in one.asked]
        await plane.idle()


async def test_slow_answers_do_not_keep_the_rest_waiting(plane: Proxy) -> None:
    async with backend("production1") as one, AsyncExitStack() as stack:
        await plane.serve(one, production1=Phase.WARMING)
        for _ in range(9):
            connection = await stack.enter_async_context(client(plane.port))
            connection.send("/wait")
        await plane.until(lambda reading: reading.held == 9)
        plane.fleet.publish(production1=Phase.SERVING)
        await plane.until(lambda reading: reading.in_flight == 9)
    await plane.idle()


async def test_a_client_that_left_while_it_was_held_is_not_sent(plane: Proxy) -> None:
    async with backend("production1") as one, client(plane.port) as connection, client(plane.port) as other:
        await plane.serve(one, production1=Phase.WARMING)
        connection.send("/left")
        await plane.until(lambda reading: reading.held == 1)
        connection.abort()
        await plane.until(lambda reading: reading.held == 0)
        await plane.serve(one)
        assert (await other.ask("/stays")).status == 200
        assert ["GET /stays HTTP/1.1"] == [asked.line for asked in one.asked]
        await plane.idle()


async def test_the_first_held_request_wakes_the_scaler_after_it_was_reported(plane: Proxy) -> None:
    await plane.serve()
    reports: list[int] = []
    woken = asyncio.Event()
    loop = asyncio.get_running_loop()

    def listen() -> None:
        for _ in plane.fleet.registry.wakes():
            reading = plane.fleet.reading(plane.id)
            reports.append(reading.held if reading else -1)
            loop.call_soon_threadsafe(woken.set)
            break

    async with client(plane.port) as connection, asyncio.timeout(30):
        listening = asyncio.create_task(asyncio.to_thread(listen))  # noqa: TID251  # awaited below
        await listened_to(plane.fleet.registry)
        connection.send("/")
        await woken.wait()
        await listening
        assert reports == [1]
        connection.abort()
        await plane.idle()


async def test_a_request_is_refused_beyond_the_queue_and_at_the_limit_of_waiting(small: Proxy) -> None:
    await small.serve()
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(client(small.port)) for _ in range(4)]
        for connection in connections[:3]:
            connection.send("/")
        await small.until(lambda reading: reading.held == 3)
        beyond = await connections[3].ask("/")
        assert (503, "2") == (beyond.status, beyond.headers["retry-after"])
        expired = [await connection.answer() for connection in connections[:3]]
        assert [(503, "2")] * 3 == [(answer.status, answer.headers["retry-after"]) for answer in expired]
        after = await small.idle(4)
        assert (4, 4, 4) == (after.arrivals, after.completions, after.errors_5xx)


async def test_a_large_upload_is_broken_off_where_it_would_have_to_be_kept_in_memory(small: Proxy) -> None:
    await small.serve()
    async with client(small.port) as connection:
        connection.send("/", "Content-Length: 100000000", method="POST")
        answer = await connection.head()
        assert (502, "close") == (answer.status, answer.headers["connection"])
    await small.idle()
