"""A real HAProxy and its agent, scraped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from haproxy.metrics import _by_kind
from tests.addon.backends import backend
from tests.haproxy.rig import STEP_S, Client, on_both, rig
from tests.scrape import Scrape, ask
from tests.valkey import free_port

if TYPE_CHECKING:
    from fleet.embedded import EmbeddedValkey

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]


@on_both
async def test_a_scrape_tells_what_passed(
    valkey: EmbeddedValkey, fleet_name: str, binary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("STOKER_METRICS__HAPROXY_PORT", str(port))
    async with rig(valkey, fleet_name, binary) as plane, backend("production1") as one:
        generation = plane.publish({"production1": one.url})
        await plane.applied(generation)
        client = Client(plane.port)
        assert 200 == (await client.get())[0]
        assert 500 == (await client.get("/bad"))[0]
        client.close()
        await plane.sees(
            lambda reading: (_arrived(reading.backends), reading.completions, reading.errors_5xx) == (2, 2, 1),
            "both requests are counted",
        )
        # The agent hears of a crash by another way than by looking.
        async with asyncio.timeout(30):
            while not (scraped := await asyncio.to_thread(Scrape, port)).value("stoker_proxy_crashes_total"):  # noqa: ASYNC110  # only a scrape tells
                await asyncio.sleep(STEP_S)
        assert (200, f"ready: generation {generation} is applied\n") == await asyncio.to_thread(ask, port, "/readyz")
        assert (200, "the loop turns\n") == await asyncio.to_thread(ask, port, "/healthz")
    assert 2 == scraped.value("stoker_proxy_requests_total", fleet=fleet_name)
    assert 1 == scraped.value("stoker_proxy_responses_total", **{"class": "5xx"})
    assert 2 == scraped.value("stoker_proxy_backend_requests_total", backend="production1")
    assert 0 == scraped.value("stoker_haproxy_reloads_total", reason="section")
    assert 1 == scraped.value("stoker_haproxy_slots", state="serving")
    assert 1 == scraped.value("stoker_proxy_crashes_total")
    assert generation == scraped.value("stoker_proxy_generation")


def test_reasons_of_reloads_are_few_whatever_numbers_and_names_they_hold() -> None:
    told = {"failed": 1, "the frontend section changed": 2, "no free slot": 3, "the fleet's size needs 32 slots": 4}
    assert {"failed": 1, "section": 2, "slots": 7} == _by_kind(told)


def _arrived(backends: object) -> int:
    return sum(one.arrivals for one in backends.values()) if isinstance(backends, dict) else 0
