"""A refused connection costs no request as long as another backend is there, or comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from fleet.backend import Phase
from tests.addon.backends import Backend, backend
from tests.addon.rig import client
from tests.valkey import free_port

if TYPE_CHECKING:
    from tests.addon.rig import Proxy

pytestmark = pytest.mark.live


async def test_a_refused_request_moves_on_and_is_counted_where_it_was_refused(plane: Proxy) -> None:
    dead = Backend("production1", free_port())
    async with backend("production2") as two:
        await plane.serve(dead, two)
        before = await plane.idle()
        for _ in range(6):
            async with client(plane.port) as connection:
                assert (await connection.ask("/")).body == b"production2"
        after = await plane.idle(before.arrivals + 6)
    assert after.backends is not None
    counted = after.backends["production1"]
    assert counted.refused == after.refused - before.refused >= 1
    assert (0, 6) == (counted.in_flight, after.backends["production2"].arrivals)
    assert before.errors_5xx == after.errors_5xx


async def test_a_request_waits_where_the_only_backend_refuses_until_it_accepts(plane: Proxy) -> None:
    await plane.idle()
    port = free_port()
    async with client(plane.port) as connection:
        await plane.serve(Backend("production1", port))
        connection.send("/")
        await plane.until(lambda reading: reading.held == 1 and reading.in_flight == 0)
        async with backend("production1", port):
            assert (await connection.answer()).body == b"production1"
            await plane.idle()


async def test_a_client_that_leaves_while_its_request_moves_is_forgotten(plane: Proxy) -> None:
    await plane.idle()
    async with client(plane.port) as connection:
        await plane.serve(Backend("production1", free_port()))
        connection.send("/")
        await plane.until(lambda reading: reading.held == 1)
        connection.abort()
        await plane.idle()


async def test_a_streamed_upload_moves_on_too(plane: Proxy) -> None:
    await plane.idle()
    async with backend("production2") as two:
        await plane.serve(Backend("production1", free_port()), two)
        for _ in range(2):
            async with client(plane.port) as connection:
                answer = await connection.ask("/", method="POST", body=b"x" * 200_000)
                assert answer.body == b"production2"
        assert [200_000, 200_000] == [len(asked.body) for asked in two.asked]
        await plane.idle()


async def test_no_new_request_goes_to_a_draining_backend_on_a_connection_kept_alive(plane: Proxy) -> None:
    async with backend("production1") as one, backend("production2") as two, client(plane.port) as connection:
        await plane.serve(one, two)
        assert {b"production1", b"production2"} == {(await connection.ask("/")).body for _ in range(4)}
        plane.fleet.publish(production1=Phase.DRAINING)
        seen = len(one.asked)
        generation = plane.fleet.publish()
        await plane.until(lambda reading: reading.generation == generation)
        assert [b"production2"] * 6 == [(await connection.ask("/")).body for _ in range(6)]
        assert seen == len(one.asked)
        await plane.idle()


async def test_two_thirds_go_where_two_thirds_of_the_weight_is(plane: Proxy) -> None:
    async with backend("production1") as one, backend("production2") as two, backend("production3") as three:
        await plane.serve(one, two, three, weights=(20, 10, 0))
        async with client(plane.port) as connection:
            answers = [(await connection.ask("/")).body for _ in range(12)]
        assert [8, 4, 0] == [answers.count(name) for name in (b"production1", b"production2", b"production3")]
        await plane.idle()


async def test_many_requests_at_once_all_end(plane: Proxy) -> None:
    async with backend("production1") as one, backend("production2") as two:
        await plane.serve(one, two)
        before = await plane.idle()

        async def some(number: int) -> list[int]:
            async with client(plane.port) as connection:
                return [(await connection.ask(f"/{number}")).status for _ in range(5)]

        answers = await asyncio.gather(*(some(number) for number in range(20)))
        assert [[200] * 5] * 20 == answers
        after = await plane.idle(before.arrivals + 100)
        assert after.backends is not None
        assert [50, 50] == [counted.arrivals for counted in after.backends.values()]
