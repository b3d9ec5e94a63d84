from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from addon.plane import Plane
from fleet.settings import load
from tests.addon.snapshots import snapshot

if TYPE_CHECKING:
    from addon.counter import Token


@pytest.fixture
async def plane() -> Plane:
    return Plane(load(None, **{"proxy.hold_s": 1, "proxy.hold_max": 2}), "proxy")


def arrive(plane: Plane, client: str = "client") -> Token:
    token = plane.arrive(client)
    plane.choose(token)
    return token


async def held(plane: Plane) -> None:
    """Until a request waits."""
    while not plane.held_news:
        plane.news.clear()
        await plane.news.wait()


def counted(plane: Plane) -> tuple[int, int, int, int]:
    shown = plane.reading()
    return shown.arrivals, shown.completions, shown.in_flight, shown.held


async def test_a_request_is_counted_at_its_arrival_and_once_at_its_end(plane: Plane) -> None:
    plane.apply(snapshot(a1=1))
    token = arrive(plane)
    assert counted(plane) == (1, 0, 1, 0)
    plane.end(token, status=200)
    plane.end(token, status=502, broken=True)
    assert counted(plane) == (1, 1, 0, 0)
    assert plane.reading().errors_5xx == 0


async def test_a_broken_answer_is_the_backends_error_and_a_client_that_left_is_not(plane: Plane) -> None:
    plane.apply(snapshot(a1=1))
    plane.end(arrive(plane), status=0)
    plane.end(arrive(plane), status=502, broken=True)
    plane.end(arrive(plane), status=500)
    plane.end(arrive(plane), status=404)
    shown = plane.reading()
    assert shown.backends is not None
    assert (shown.backends["a1"].errors, shown.errors_5xx, shown.errors_4xx) == (2, 2, 1)


async def test_whatever_a_client_had_under_way_ends_with_it(plane: Plane) -> None:
    plane.apply(snapshot(a1=1))
    for _ in range(3):
        arrive(plane)
    stays = arrive(plane, "other")
    plane.client_gone("client")
    assert counted(plane) == (4, 3, 1, 0)
    plane.end(stays, status=200)
    assert not plane.busy


async def test_a_request_that_moves_is_counted_where_it_goes_and_as_refused_where_it_was(plane: Plane) -> None:
    plane.apply(snapshot(a1=1, a2=2))
    token = arrive(plane)
    first = token.upstream
    assert first is not None
    second = await plane.elsewhere(token, refused=True)
    assert second is not None
    assert (first.in_flight, second.in_flight, first.refused, plane.reading().refused) == (0, 1, 1, 1)


async def test_a_request_waits_where_no_other_backend_is_left_and_is_let_go_when_one_comes(plane: Plane) -> None:
    plane.apply(snapshot(a1=1))
    token = arrive(plane)
    async with asyncio.TaskGroup() as group:
        moving = group.create_task(plane.elsewhere(token, refused=True))
        await held(plane)
        assert counted(plane) == (1, 0, 0, 1)
        plane.apply(snapshot(2, a1=1, a2=2))
    chosen = moving.result()
    assert chosen is not None
    assert chosen.name == "a2"


async def test_a_request_that_ended_while_it_waited_is_not_sent(plane: Plane) -> None:
    token = arrive(plane)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(plane.wait(token))
        await held(plane)
        plane.apply(snapshot(a1=1))
        plane.client_gone("client")
    assert waiting.result() is None
    assert counted(plane) == (1, 1, 0, 0)


async def test_those_that_arrive_do_not_overtake_those_that_are_held(plane: Plane) -> None:
    token = arrive(plane)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(plane.wait(token))
        await held(plane)
        plane.roster.apply(snapshot(a1=1))
        assert plane.choose(plane.arrive("later")) is None
        plane.hold.release()
    assert waiting.result() is not None


async def test_each_connection_that_is_opened_belongs_to_another_request(plane: Plane) -> None:
    plane.apply(snapshot(a1=1))
    first, second = arrive(plane), arrive(plane)
    upstream = first.upstream
    assert upstream is not None
    assert [first, second, None] == [plane.dialling(upstream, "client") for _ in range(3)]
    assert plane.dialling(upstream, "stranger") is None


async def test_a_drain_is_over_when_the_last_request_has_ended(plane: Plane) -> None:
    plane.apply(snapshot(a1=1))
    token = arrive(plane)
    plane.drain()
    assert not plane.drained.is_set()
    plane.end(token, status=200)
    assert plane.drained.is_set()


async def test_nothing_is_held_any_longer_in_a_drain_where_nothing_serves(plane: Plane) -> None:
    token = arrive(plane)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(plane.wait(token))
        await held(plane)
        plane.drain()
    assert waiting.result() is None
    assert await plane.wait(arrive(plane)) is None
