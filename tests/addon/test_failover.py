from __future__ import annotations

import asyncio
import threading

import pytest
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test import tflow

from addon.failover import NO_BACKEND, PROBE_S, Dialled, Failover, probe
from addon.options import Configuration
from addon.plane import Plane
from fleet.settings import load
from tests.addon.backends import backend
from tests.addon.snapshots import snapshot
from tests.valkey import free_port


def scene(**ports: int) -> tuple[Plane, Failover]:
    configuration = Configuration()
    configuration.plane = Plane(load(None, **{"proxy.hold_s": 0.01}), "proxy")
    configuration.plane.apply(snapshot(**ports))
    return configuration.plane, Failover(configuration)


def connecting(plane: Plane, address: tuple[str, int] | None = None) -> ServerConnectionHookData:
    """The data of a hook for a new request's connection."""
    client, server = tflow.tclient_conn(), tflow.tserver_conn()
    token = plane.arrive(client.id)
    chosen = plane.choose(token)
    server = type(server)(address=address or (chosen.address if chosen else None))
    return ServerConnectionHookData(server, client)


async def until_held(plane: Plane) -> None:
    while not plane.held_news:
        plane.news.clear()
        await plane.news.wait()


async def test_a_backend_that_accepts_is_connected_to() -> None:
    async with backend("a1") as one:
        plane, failover = scene(a1=one.port)
        data = connecting(plane)
        await failover.server_connect(data)
        assert (data.server.address, data.server.error) == (("127.0.0.1", one.port), None)


async def test_a_refused_one_is_left_for_one_that_accepts() -> None:
    async with backend("a2") as two:
        plane, failover = scene(a1=free_port(), a2=two.port)
        data = connecting(plane)
        await failover.server_connect(data)
        assert data.server.address == ("127.0.0.1", two.port)
        assert [("a1", 0, 1), ("a2", 1, 0)] == [
            (upstream.name, upstream.in_flight, upstream.refused) for upstream in plane.roster.upstreams
        ]


async def test_an_error_is_given_when_nobody_accepts_in_time() -> None:
    plane, failover = scene(a1=free_port())
    data = connecting(plane)
    await failover.server_connect(data)
    assert data.server.error == NO_BACKEND
    assert plane.reading().in_flight == 0


async def test_nothing_but_a_backend_is_ever_connected_to() -> None:
    plane, failover = scene(a1=free_port())
    data = connecting(plane, ("stoker", 80))
    await failover.server_connect(data)
    assert data.server.error == NO_BACKEND


async def test_a_connection_that_failed_does_not_speak_for_its_address() -> None:
    plane, failover = scene(a1=free_port())
    data = connecting(plane)
    failover.server_connect_error(data)
    assert data.server.address == ("failed.invalid", 1)


async def test_a_cancelled_request_is_taken_off() -> None:
    plane, failover = scene(a1=free_port())
    data = connecting(plane)
    moving = asyncio.ensure_future(failover.server_connect(data))
    await until_held(plane)
    moving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await moving
    assert not plane.busy


async def test_a_probe_tells_refusal_from_silence() -> None:
    async with backend("a1") as one:
        assert await probe(("127.0.0.1", one.port)) is Dialled.ACCEPTED
    assert await probe(("127.0.0.1", free_port())) is Dialled.REFUSED
    assert await probe(("255.255.255.255", 1)) is Dialled.FAILED


async def test_a_probe_believes_what_came_while_its_own_loop_stood_still() -> None:
    async with backend("a1") as one:
        for port, met in ((one.port, Dialled.ACCEPTED), (free_port(), Dialled.REFUSED)):
            probing = asyncio.ensure_future(probe(("127.0.0.1", port)))
            await asyncio.sleep(0)
            threading.Event().wait(PROBE_S + 0.1)  # the loop stands still, as where a machine is busy with others
            assert await probing is met
