"""The plane as a whole: a real haproxy of both versions, a real store, a real agent."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from fleet.backend import Backend, Phase
from tests.addon.backends import Backend as Scripted
from tests.addon.backends import backend
from tests.haproxy.rig import Client, on_both, rig, until
from tests.valkey import listened_to

if TYPE_CHECKING:
    from fleet.embedded import EmbeddedValkey
    from fleet.registry import ProxyReading

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]


async def served(stack: AsyncExitStack, count: int) -> dict[str, Scripted]:
    names = [f"production{number}" for number in range(1, count + 1)]
    return {name: await stack.enter_async_context(backend(name)) for name in names}


def urls(backends: dict[str, Scripted], *names: str) -> dict[str, str]:
    return {name: backends[name].url for name in names or backends}


def busy(reading: ProxyReading) -> dict[str, int]:
    return {name: one.in_flight for name, one in (reading.backends or {}).items() if one.in_flight}


@on_both
async def test_the_fleet_changes_its_size_and_the_worker_stays(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with AsyncExitStack() as stack, rig(valkey, fleet_name, binary) as plane:
        backends = await served(stack, 11)
        worker = await plane.worker()
        done = asyncio.Event()
        clients = [Client(plane.port, fresh=number % 2 == 0) for number in range(6)]
        async with asyncio.TaskGroup() as group:
            await plane.applied(plane.publish(urls(backends, "production1", "production2")))
            for client in clients:
                group.create_task(client.keep_asking(done))
            names = list(backends)
            for chosen in (names[:4], names[:8], names[6:8], [], names[8:]):
                await plane.applied(plane.publish(urls(backends, *chosen) if chosen else {}))
                await asyncio.sleep(0.3)
            done.set()
        assert [] == [client.lost for client in clients if client.lost]
        assert worker == await plane.worker()
        sent = sum(client.sent for client in clients)
        await plane.sees(lambda one: (one.arrivals, busy(one)) == (sent, {}), "every request counted, and ended")


@on_both
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_to_an_empty_fleet_is_held_and_wakes_the_scaler(
    valkey: EmbeddedValkey, fleet_name: str, binary: str, method: str
) -> None:
    async with rig(valkey, fleet_name, binary) as plane, backend("production1") as one:
        await plane.applied(plane.publish({}))
        wakes = plane.registry.wakes()
        woken = asyncio.get_running_loop().run_in_executor(None, lambda: next(wakes))
        await listened_to(plane.registry)
        reader, writer = await asyncio.open_connection("127.0.0.1", plane.port)
        body = "Content-Length: 5\r\n\r\nhello" if method == "POST" else "\r\n"
        writer.write(f"{method} / HTTP/1.1\r\nHost: x\r\n{body}".encode())
        await asyncio.wait_for(woken, 30)
        reading = plane.reading()
        assert reading is not None
        assert 1 == reading.held
        plane.publish({"production1": one.url})
        assert b"HTTP/1.1 200 OK" == (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]
        assert (b"hello" if method == "POST" else b"") == one.asked[0].body
        await plane.sees(lambda seen: seen.held == 0, "nothing is held")
        writer.close()


@on_both
async def test_a_reload_loses_no_request_and_no_count(valkey: EmbeddedValkey, fleet_name: str, binary: str) -> None:
    async with AsyncExitStack() as stack, rig(valkey, fleet_name, binary) as plane:
        backends = await served(stack, 3)
        await plane.applied(plane.publish(urls(backends)))
        done = asyncio.Event()
        clients = [Client(plane.port, fresh=True) for _ in range(4)]
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.keep_asking(done))
            for _ in range(2):
                before = await plane.worker()
                await plane.reload()
                assert before != await plane.worker()
            done.set()
        assert [] == [client.lost for client in clients if client.lost]
        await plane.sees(lambda one: one.arrivals == sum(c.sent for c in clients), "every request counted")
        await until(lambda: (seen := plane.reading()) is not None and seen.in_flight == 0, "nothing in flight")


@on_both
async def test_requests_under_way_in_an_old_worker_count_as_in_flight(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with rig(valkey, fleet_name, binary) as plane, backend("production1") as one:
        await plane.applied(plane.publish({"production1": one.url}))
        client = Client(plane.port)
        slow = asyncio.ensure_future(client.get("/wait"))
        await one.arrived.wait()
        await plane.reload()
        await plane.applied(plane.publish({"production1": Backend("production1", Phase.DRAINING, one.url)}))
        reading = await plane.sees(lambda seen: bool(seen.backends), "counters by backend")
        assert reading.backends is not None
        assert (1, {"production1": 1}) == (reading.backends["production1"].in_flight, reading.leaving)
        assert 1 == len(await plane.old_workers())
        one.go.set()
        assert 200 == (await slow)[0]
        await plane.sees(lambda seen: seen.in_flight == 0, "nothing in flight")
        client.close()
        for _ in range(500):
            if not await plane.old_workers():
                break
            await asyncio.sleep(0.01)
        assert () == await plane.old_workers()
