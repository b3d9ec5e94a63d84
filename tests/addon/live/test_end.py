"""SIGTERM loses nothing: requests in flight are answered, held ones too, and the proxy's traces go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.addon.backends import backend
from tests.addon.rig import client, proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fleet.settings import Settings
    from tests.addon.rig import Proxy

pytestmark = pytest.mark.live


@pytest.fixture
def drain_s() -> float:
    """How long requests may take at the end."""
    return 30


@pytest.fixture
def ending(store_settings: Settings, tmp_path: Path, drain_s: float) -> Iterator[Proxy]:
    """A proxy that a test ends."""
    with proxy(store_settings, tmp_path, f"stoker_drain={drain_s:g}") as running:
        yield running


async def test_a_request_in_flight_is_answered_and_the_traces_are_gone(ending: Proxy) -> None:
    async with backend("production1") as one, client(ending.port) as connection:
        await ending.serve(one)
        connection.send("/wait")
        await one.arrived.wait()
        ending.end()
        await _until_refused(ending)
        one.go.set()
        answer = await connection.answer()
        assert (b"production1", "close") == (answer.body, answer.headers["connection"])
        assert await ending.ended() == 0
    sighting = ending.fleet.registry.sight(detail=False)
    assert ((), ()) == (sighting.readings, sighting.silent)


async def test_a_connection_kept_alive_is_served_once_more_and_told_to_close(ending: Proxy) -> None:
    async with backend("production1") as one, client(ending.port) as slow, client(ending.port) as connection:
        await ending.serve(one)
        await connection.ask("/")
        one.arrived.clear()
        slow.send("/wait")
        await one.arrived.wait()
        ending.end()
        await _until_refused(ending)
        assert (await connection.ask("/")).headers["connection"] == "close"
        one.go.set()
        assert (await slow.answer()).status == 200
        assert await ending.ended() == 0


async def test_a_large_answer_reaches_a_slow_client_before_the_end(ending: Proxy) -> None:
    async with backend("production1" * 20_000) as one, client(ending.port) as connection:
        one.name, name = "production1", one.name
        await ending.serve(one)
        one.name = name
        connection.send("/wait")
        await one.arrived.wait()
        ending.end()
        one.go.set()
        assert len((await connection.answer()).body) == 220_000
        assert await ending.ended() == 0


async def test_held_requests_are_answered(ending: Proxy) -> None:
    async with client(ending.port) as connection:
        await ending.serve()
        connection.send("/")
        await ending.until(lambda reading: reading.held == 1)
        ending.end()
        assert (await connection.answer()).status == 503
        assert await ending.ended() == 0


@pytest.mark.parametrize("drain_s", [1])
async def test_what_takes_too_long_is_cut(ending: Proxy) -> None:
    async with backend("production1") as one, client(ending.port) as connection:
        await ending.serve(one)
        connection.send("/wait")
        await one.arrived.wait()
        ending.end()
        assert await connection.reader.read() == b""
        assert await ending.ended() == 0
        assert "1 s are over" in ending.log()


async def _until_refused(ending: Proxy) -> None:
    while True:
        try:
            async with client(ending.port):
                pass
        except ConnectionError:
            return
