"""A real mitmdump, scraped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.addon.backends import backend
from tests.addon.rig import client, proxy
from tests.scrape import Scrape, ask
from tests.valkey import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from fleet.settings import Settings

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

AGE = "stoker_proxy_snapshot_age_seconds"


async def test_a_scrape_tells_what_passed(
    store_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("STOKER_METRICS__MITMPROXY_PORT", str(port))
    with proxy(store_settings, tmp_path) as plane:
        async with backend("production1") as one, client(plane.port) as connection:
            assert (503, "not ready: no snapshot of the fleet is applied yet\n") == await _ready(port)
            await plane.serve(one)
            assert 200 == (await connection.ask("/")).status
            assert 500 == (await connection.ask("/bad")).status
            connection.send("/wait")
            reading = await plane.until(lambda reading: reading.in_flight == 1)
            scraped = await asyncio.to_thread(Scrape, port)
            await _confirmed_again(port, scraped)
            one.go.set()
            await connection.answer()
        assert (200, f"ready: generation {reading.generation} is applied\n") == await _ready(port)
        assert (200, "the loop turns\n") == ask(port, "/healthz")
    assert 3 == scraped.value("stoker_proxy_requests_total", fleet=store_settings.fleet)
    assert 1 == scraped.value("stoker_proxy_responses_total", **{"class": "5xx"})
    assert 1 == scraped.value("stoker_proxy_in_flight_requests")
    assert 1 == scraped.value("stoker_proxy_backend_in_flight_requests", backend="production1")
    assert 2 == scraped.value("stoker_proxy_request_duration_seconds_count")
    assert 1 == scraped.value("stoker_proxy_crashes_total")
    assert 1 == scraped.value("stoker_store_reachable")
    assert reading.generation == scraped.value("stoker_proxy_generation")


async def _confirmed_again(port: int, scraped: Scrape) -> None:
    """Until the snapshot is of less age than it was: the store is asked every second."""
    async with asyncio.timeout(30):
        while scraped.value(AGE) <= (scraped := await asyncio.to_thread(Scrape, port)).value(AGE):  # noqa: ASYNC110  # only a scrape tells
            await asyncio.sleep(0.05)


async def _ready(port: int) -> tuple[int, str]:
    async with asyncio.timeout(30):
        while True:
            try:
                return await asyncio.to_thread(ask, port, "/readyz")
            except ConnectionRefusedError:  # it listens a moment after the proxy does
                await asyncio.sleep(0.01)


async def test_a_port_in_use_is_said_and_requests_pass(
    store_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("STOKER_METRICS__MITMPROXY_PORT", str(port))
    with proxy(store_settings, tmp_path, name="first") as first, proxy(store_settings, tmp_path, name="second") as two:
        async with backend("production1") as one, client(two.port) as connection:
            await two.serve(one)
            assert 200 == (await connection.ask("/")).status
        # Who reports has begun to listen, or said why not.
        await first.until(lambda _: True)
        said = [line for log in (first.log(), two.log()) for line in log.splitlines() if "no metrics" in line]
    assert 1 == len(said)
    assert (
        f"127.0.0.1:{port} cannot be listened on: Address already in use; set another metrics.mitmproxy_port" in said[0]
    )
