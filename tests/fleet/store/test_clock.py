"""A server whose clock was stepped back: what lives by its time lives no longer than it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleet.registry import ProxyReading, Sighting

if TYPE_CHECKING:
    from fleet.store.keys import Keys
    from fleet.store.proxy_side import RedisNoticeboard
    from fleet.store.scaler_side import RedisRegistry

HOUR_MS = 3_600_000


def test_a_lease_that_would_last_an_hour_is_shortened_by_whoever_waits_for_it(
    registry: RedisRegistry, keys: Keys
) -> None:
    held = registry.acquire("a")
    assert held is not None
    registry.client.pexpire(keys.lease, HOUR_MS)
    assert registry.acquire("b") is None
    assert 0 < registry.client.pttl(keys.lease) <= held.ttl_s * 1000


async def test_a_proxy_whose_key_would_last_an_hour_is_silent(
    registry: RedisRegistry, board: RedisNoticeboard, keys: Keys
) -> None:
    await board.report(ProxyReading("p1", "s", 0, 0, 0, outlives_agent=True))
    registry.client.pexpire(keys.proxy("p1"), HOUR_MS)
    assert Sighting((), ("p1",), lasting=frozenset({"p1"})) == registry.sight(detail=False)
    await board.report(ProxyReading("p1", "s", 0, 0, 0, outlives_agent=True))
    assert () == registry.sight(detail=False).silent
