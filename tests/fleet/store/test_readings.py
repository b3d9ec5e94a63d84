"""Whatever stands in a proxy's keys, it is that proxy alone that falls silent, and its next report puts it right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleet.registry import BackendCounters, ProxyReading, Sighting

if TYPE_CHECKING:
    from fleet.store.desk import RedisDesk
    from fleet.store.keys import Keys
    from fleet.store.proxy_side import RedisNoticeboard
    from fleet.store.scaler_side import RedisRegistry


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("arrivals", "-5", "arrivals must be a whole number below 1e+15, was '-5'"),
        ("arrivals", "nan", "arrivals must be a whole number below 1e+15, was 'nan'"),
        ("in_flight", "many", "in_flight must be a whole number below 1e+15, was 'many'"),
        ("held", "1" * 40, "held must be a whole number below 1e+15, was '" + "1" * 40 + "'"),
        ("uptime_ms", "1.5", "uptime_ms must be a whole number below 1e+15, was '1.5'"),
        ("generation", "9" * 15, "generation must be a whole number below 2e+14, was '" + "9" * 15 + "'"),
        ("series", "", "series must be a short text, was ''"),
        ("leaving", "", "leaving must be requests by backend, was ''"),
        ("leaving", "[]", "leaving must be requests by backend, was '[]'"),
        ("leaving", '{"a":-1}', "leaving must be requests by backend, was '{\"a\":-1}'"),
        ("leaving", '{"a":true}', "leaving must be requests by backend, was '{\"a\":true}'"),
        ("backends", "[", "backends must be a JSON array, was '['"),
        ("backends", "{}", "backends must be a JSON array, was '{}'"),
        ("backends", "[1]", "backends must be names, was '[1]'"),
        ("backends", '["a","b"]', "backend_refused must be a number from 0 up for each of 2 backends, was '[0]'"),
        ("backend_refused", "7", "backend_refused must be a JSON array, was '7'"),
        ("backend_refused", "[1.5]", "backend_refused must be a number from 0 up for each of 1 backends, was '[1.5]'"),
        (
            "backend_in_flight",
            "[-2]",
            "backend_in_flight must be a number from 0 up for each of 1 backends, was '[-2]'",
        ),
        (
            "backend_in_flight",
            "[1000000000000000]",
            "backend_in_flight must be a number from 0 up for each of 1 backends, was '[1000000000000000]'",
        ),
    ],
)
async def test_an_absurd_counter_makes_its_proxy_silent(
    registry: RedisRegistry, board: RedisNoticeboard, keys: Keys, name: str, value: str, wanted: str
) -> None:
    for proxy in ("p1", "p2"):
        await board.report(ProxyReading(proxy, "s", 1, 0, 2, backends={"a": BackendCounters()}))
    registry.client.hset(keys.proxy("p1"), name, value)
    sighting = registry.sight(detail=True)
    assert (f"proxy p1: {wanted}",) == sighting.faults
    assert ("p1",) == sighting.silent
    assert ["p2"] == [reading.id for reading in sighting.readings]


async def test_an_absurd_mean_makes_its_proxy_silent_for_people(
    board: RedisNoticeboard, desk: RedisDesk, keys: Keys
) -> None:
    await board.report(ProxyReading("p1", "s", 1, 0, 2, backends={"a": BackendCounters()}))
    desk.client.hset(keys.proxy("p1"), "backend_total_ms", "[NaN]")
    sighting = desk.status().sighting
    assert (
        ("p1",),
        ("proxy p1: backend_total_ms must be a number from 0 up for each of 1 backends, was '[NaN]'",),
    ) == (
        sighting.silent,
        sighting.faults,
    )


async def test_a_counter_that_goes_back_is_handed_on_as_it_is(registry: RedisRegistry, board: RedisNoticeboard) -> None:
    await board.report(ProxyReading("p1", "s", 2, 0, arrivals=9))
    await board.report(ProxyReading("p1", "s", 1, 0, arrivals=3))
    assert Sighting((ProxyReading("p1", "s", 1, 0, arrivals=3),)) == registry.sight(detail=False)


def test_a_stranger_among_the_proxies_is_a_fault_to_people_and_none_to_the_scaler_who_removes_it(
    registry: RedisRegistry, desk: RedisDesk, keys: Keys
) -> None:
    registry.client.zadd(keys.proxies, {"a b": 1})
    assert Sighting((), (), (f"{keys.proxies}: 'a b' is no proxy's id",)) == desk.status().sighting
    assert Sighting(()) == registry.sight(detail=False)


def test_proxies_of_another_type_are_no_data(registry: RedisRegistry, keys: Keys) -> None:
    registry.client.set(keys.proxies, "x")
    registry.client.set(keys.lasting, "x")
    faults = (
        f"{keys.proxies}: must be a sorted set, is of another type",
        f"{keys.lasting}: must be a set, is of another type",
    )
    assert Sighting((), (), faults) == registry.sight(detail=False)


async def test_a_proxys_report_puts_its_own_keys_right(
    registry: RedisRegistry, board: RedisNoticeboard, keys: Keys
) -> None:
    registry.client.set(keys.proxies, "x")
    registry.client.set(keys.lasting, "x")
    registry.client.set(keys.proxy("p1"), "x")
    await board.report(ProxyReading("p1", "s", 1, 0, 2))
    assert Sighting((ProxyReading("p1", "s", 1, 0, 2),)) == registry.sight(detail=False)
