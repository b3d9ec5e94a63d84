"""Redis goes, comes back empty, or holds garbage: requests go on to what was known."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from fleet.embedded import EmbeddedValkey
from fleet.settings import load
from tests.addon.backends import Backend, backend
from tests.addon.rig import client, proxy
from tests.valkey import folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fleet.settings import Settings
    from tests.addon.rig import Proxy

pytestmark = pytest.mark.live


def once_each(log: str, lost: str, found: str) -> bool:
    """Whether each loss and its end was said once, in turn: a busy machine may have had short ones of its own."""
    told = [lost in line for line in log.splitlines() if lost in line or found in line]
    return told == [True, False] * (len(told) // 2) != []


@pytest.fixture
def own() -> Iterator[EmbeddedValkey]:
    """A server that the test may kill."""
    with folder() as path, EmbeddedValkey(path) as server:
        yield server


async def test_requests_go_on_while_redis_is_dead_and_the_proxy_reports_again_afterwards(
    own: EmbeddedValkey, tmp_path: Path
) -> None:
    settings = load(None, fleet="loss", redis_url=own.url, state_dir=tmp_path)
    async with backend("production1") as one, backend("production2") as two:
        with proxy(settings, tmp_path) as running:
            await running.serve(one)
            assert own.pid is not None
            os.kill(own.pid, signal.SIGKILL)
            async with client(running.port) as connection:
                assert [200] * 5 == [(await connection.ask("/")).status for _ in range(5)]
            own.stop()
            own.start()
            reading = await running.until(lambda reading: reading.arrivals == 5)
            assert reading.completions == 5
            await running.serve(two)
            async with client(running.port) as connection:
                assert (await connection.ask("/")).body == b"production2"
            assert once_each(running.log(), "going on with generation", "answers again")


async def test_an_emptied_redis_is_no_data_and_not_an_empty_fleet(own: EmbeddedValkey, tmp_path: Path) -> None:
    settings = load(None, fleet="wiped", redis_url=own.url, state_dir=tmp_path)
    async with backend("production1") as one:
        with proxy(settings, tmp_path) as running:
            await running.serve(one)
            before = await running.until(lambda _: True)
            running.fleet.registry.client.flushall()
            after = await running.until(lambda reading: reading.uptime_ms > before.uptime_ms + 1100)
            assert after.generation == before.generation
            async with client(running.port) as connection:
                assert (await connection.ask("/")).status == 200


@pytest.mark.parametrize("garbage", [b"not json", b'{"phase":"flying"}', b'{"url":"http://8.8.8.8:80"}', b"\xff"])
async def test_an_entry_that_cannot_be_believed_is_left_out(plane: Proxy, garbage: bytes) -> None:
    async with backend("production1") as one:
        await plane.serve(one)
        client_side, keys = plane.fleet.registry.client, plane.fleet.registry.keys
        client_side.hset(keys.backends, "production2", garbage)
        generation = int(client_side.incr(keys.generation))
        client_side.publish(keys.changes, str(generation))
        await plane.until(lambda reading: reading.generation == generation)
        async with client(plane.port) as connection:
            assert [b"production1"] * 4 == [(await connection.ask("/")).body for _ in range(4)]
        assert "production2" in plane.log()
    plane.fleet.registry.client.delete(keys.backends)
    await plane.idle()


async def test_two_proxies_of_one_fleet_count_apart(store_settings: Settings, tmp_path: Path) -> None:
    async with backend("production1") as one:
        with (
            proxy(store_settings, tmp_path, name="left") as left,
            proxy(store_settings, tmp_path, name="right") as right,
        ):
            await left.serve(one)
            generation = (await left.until(lambda _: True)).generation
            await right.until(lambda reading: reading.generation == generation)
            async with client(left.port) as first, client(right.port) as second:
                for connection in (first, first, second):
                    assert (await connection.ask("/")).status == 200
            assert (await left.idle(2)).arrivals == 2
            assert (await right.idle(1)).arrivals == 1


async def test_an_older_generation_is_not_applied(plane: Proxy) -> None:
    async with backend("production1") as one:
        await plane.serve(one)
        applied = (await plane.until(lambda _: True)).generation
        client_side, keys = plane.fleet.registry.client, plane.fleet.registry.keys
        entry = Backend("production1", one.port)
        client_side.set(keys.generation, applied - 1)
        client_side.publish(keys.changes, str(applied - 1))
        later = await plane.until(lambda reading: reading.uptime_ms > 0 and "is older than" in plane.log())
        assert later.generation == applied
        assert entry.url == one.url
        client_side.set(keys.generation, applied)
    await plane.idle()
