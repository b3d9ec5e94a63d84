from __future__ import annotations

import asyncio
from itertools import pairwise

from stoker.demo.client import Client, Kind
from stoker.demo.load import Load, moments
from tests.valkey import free_port


def test_requests_are_due_evenly_at_the_rate_of_the_moment() -> None:
    due = list(moments(lambda moment: 8.0 if moment < 1.0 else 16.0, 2.0))
    gaps = [after - before for before, after in pairwise(due)]
    assert [1 / 8] * 8 + [1 / 16] * 15 == gaps


def test_a_rate_of_zero_does_not_stop_the_time() -> None:
    assert list(moments(lambda _: 0.0, 25.0)) == [0.0, 10.0, 20.0]


async def test_a_refused_connection_is_a_failure_and_is_not_tried_again() -> None:
    load = Load(Client("127.0.0.1", free_port()), asyncio.get_running_loop().time, [Kind.NEW])
    await load.run(lambda _: 100.0, 0.03)
    assert (3, 3, 0) == (load.sent, len(load.failed), load.under_way)
    assert 3 == sum(load.faults.values())


async def test_an_answer_of_another_status_is_a_failure() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    load = Load(Client("127.0.0.1", port), asyncio.get_running_loop().time, [Kind.KEPT])
    await load.run(lambda _: 100.0, 0.01)
    server.close()
    assert ["kept alive: answer 503 of 0 bytes"] == list(load.faults)


async def test_it_stops_when_it_is_enough() -> None:
    load = Load(Client("127.0.0.1", free_port()), asyncio.get_running_loop().time, [Kind.NEW])
    await load.run(lambda _: 1000.0, 60.0, lambda: load.sent == 5)
    assert load.sent == 5
