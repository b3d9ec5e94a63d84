"""What the one atomic script writes, under which names, and when it writes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fleet.backend import Backend, Phase
from fleet.errors import RefusedError
from fleet.registry import Change, Happening, Lease, ProxyReading, Summary
from fleet.settings import Settings, load
from fleet.store.opening import open_noticeboard, open_registry

if TYPE_CHECKING:
    from fleet.store.keys import Keys
    from fleet.store.scaler_side import RedisRegistry


def backend(number: int, phase: Phase = Phase.SERVING) -> Backend:
    return Backend(f"production{number}", phase, f"http://127.0.0.1:{3000 + number}")


def change(*numbers: int) -> Change:
    return Change({f"production{number}": backend(number) for number in numbers}, 9, Summary("UP", 2))


@pytest.fixture
def lease(registry: RedisRegistry) -> Lease:
    lease = registry.acquire("a")
    assert lease is not None
    return lease


def stored(registry: RedisRegistry, keys: Keys) -> dict[bytes | str, bytes | str]:
    return registry.client.hgetall(keys.backends)


async def test_every_key_has_the_name_that_people_know(store_settings: Settings, registry: RedisRegistry) -> None:
    lease = registry.acquire("a")
    assert lease is not None
    registry.publish(lease, replace(change(1), happenings=(Happening(1.0, "decision"),)))
    board = open_noticeboard(store_settings)
    await board.report(ProxyReading("p1", "s", 1, 0, 0))
    await board.aclose()
    prefix = f"{store_settings.fleet}:{{production}}:"
    names = ["backends", "events", "generation", "instances", "lease", "proxies", "proxy:p1", "scaler", "scalers"]
    found = sorted(key.decode() for key in registry.client.scan_iter(f"{store_settings.fleet}:*"))
    assert [prefix + name for name in [*names, "serial", "token"]] == found


def test_instances_is_the_plain_number_of_those_that_serve(registry: RedisRegistry, lease: Lease, keys: Keys) -> None:
    backends = {**change(1, 2).backends, "production3": backend(3, Phase.DRAINING)}
    registry.publish(lease, replace(change(1), backends=backends))
    assert b"2" == registry.client.get(keys.instances)


def test_lease_and_counters_end_by_themselves(registry: RedisRegistry, lease: Lease, keys: Keys) -> None:
    assert 3000 < registry.client.pttl(keys.lease) <= 4000
    assert f"a:{lease.token}".encode() == registry.client.get(keys.lease)


async def test_a_proxys_key_ends_by_itself(store_settings: Settings, registry: RedisRegistry, keys: Keys) -> None:
    board = open_noticeboard(store_settings)
    await board.report(ProxyReading("p1", "s", 1, 0, 0))
    await board.aclose()
    assert 4000 < registry.client.pttl(keys.proxy("p1")) <= 5000


def test_token_and_generation_are_the_servers_time_in_ms(registry: RedisRegistry, lease: Lease) -> None:
    generation = registry.publish(lease, change(1))
    seconds, _ = registry.client.time()
    assert seconds - 60 < lease.token / 1000 <= seconds + 1
    assert lease.token / 1000 <= generation / 1000 <= seconds + 1


def test_a_token_above_the_servers_time_is_counted_on(registry: RedisRegistry, keys: Keys) -> None:
    ahead = registry.client.time()[0] * 1000 + 5_000_000
    registry.client.set(keys.token, f"{ahead}:0123abc")
    lease = registry.acquire("a")
    assert lease is not None
    assert (ahead + 1, False) == (lease.token, lease.settled)


def test_only_what_differs_is_sent(registry: RedisRegistry, lease: Lease, keys: Keys) -> None:
    registry.publish(lease, change(1, 2, 3))
    registry.client.hset(keys.backends, "production1", "marked")
    registry.publish(lease, replace(change(1, 3), backends={**change(1, 3).backends, "production4": backend(4)}))
    assert {
        b"production1": b"marked",
        b"production3": backend(3).to_json().encode(),
        b"production4": backend(4).to_json().encode(),
    } == stored(registry, keys)


def test_a_caller_may_change_its_own_mapping_afterwards(registry: RedisRegistry, lease: Lease, keys: Keys) -> None:
    backends = dict(change(1, 2).backends)
    registry.publish(lease, replace(change(1), backends=backends))
    del backends["production1"]
    registry.publish(lease, replace(change(1), backends=backends))
    assert [b"production2"] == list(stored(registry, keys))


def test_a_renewal_prolongs_the_lease(registry: RedisRegistry, lease: Lease, keys: Keys) -> None:
    registry.client.pexpire(keys.lease, 1000)
    assert registry.renew(lease)
    assert registry.client.pttl(keys.lease) > 3000


@pytest.mark.parametrize("tampering", ["generation", "member", "all", "type"])
def test_everything_is_sent_where_the_store_is_not_as_it_was_left(
    registry: RedisRegistry, lease: Lease, keys: Keys, tampering: str
) -> None:
    registry.publish(lease, change(1, 2))
    match tampering:
        case "generation":
            registry.client.hset(keys.backends, "production1", "old")
            registry.client.incr(keys.generation)
        case "member":
            registry.client.hset(keys.backends, "production7", "left over")
        case "all":
            registry.client.delete(keys.backends, keys.generation, keys.instances)
        case _:
            registry.client.set(keys.backends, "x")
    registry.publish(lease, change(1, 3))
    wanted = {name.encode(): one.to_json().encode() for name, one in change(1, 3).backends.items()}
    assert wanted == stored(registry, keys)


def test_a_new_holder_sends_everything(registry: RedisRegistry, lease: Lease, keys: Keys) -> None:
    registry.publish(lease, change(1, 2))
    registry.client.hset(keys.backends, "production1", "old")
    registry.release(lease)
    again = registry.acquire("a")
    assert again is not None
    registry.publish(again, change(1, 2))
    assert backend(1).to_json().encode() == stored(registry, keys)[b"production1"]


@pytest.mark.parametrize("held", [None, "b:1", "a:1", "a", "", "a:{token}x"])
def test_without_exactly_this_lease_nothing_is_written(
    registry: RedisRegistry, lease: Lease, keys: Keys, held: str | None
) -> None:
    registry.publish(lease, change(1))
    if held is None:
        registry.client.delete(keys.lease)
    else:
        registry.client.set(keys.lease, held.format(token=lease.token))
    dump = {key: registry.client.dump(key) for key in registry.client.scan_iter(f"{keys.fleet}:*")}
    with pytest.raises(RefusedError, match=f"the lease is not .or no longer. a:{lease.token}'s"):
        registry.publish(lease, change(1, 2))
    assert dump == {key: registry.client.dump(key) for key in registry.client.scan_iter(f"{keys.fleet}:*")}


def test_a_server_that_forgot_the_scripts_is_given_them_again(registry: RedisRegistry, lease: Lease) -> None:
    generation = registry.publish(lease, change(1))
    registry.client.script_flush()
    assert registry.publish(lease, change(1, 2)) > generation


async def test_proxies_that_the_scaler_has_not_seen_yet_are_heard_too(
    store_settings: Settings, registry: RedisRegistry, lease: Lease
) -> None:
    board = open_noticeboard(store_settings)
    ahead = registry.publish(lease, change(1)) + 100_000
    for number in range(30):
        await board.report(ProxyReading(f"p{number}", "s", 1, ahead + number, 0))
        assert ahead + number + 1 == registry.publish(lease, change(1))
    await board.aclose()


def test_two_apps_of_one_fleet_share_nothing(store_settings: Settings, registry: RedisRegistry, lease: Lease) -> None:
    registry.publish(lease, change(1))
    other = open_registry(load(None, fleet=store_settings.fleet, app="web", redis_url=store_settings.redis_url))
    assert other.recall().snapshot is None
    assert other.acquire("b") is not None
    other.close()


def test_events_are_capped(registry: RedisRegistry, lease: Lease, keys: Keys) -> None:
    for _ in range(11):
        registry.record(lease, [Happening(float(number), "test") for number in range(1000)])
    assert 10_000 <= registry.client.xlen(keys.events) < 10_200


def test_scalers_that_are_long_gone_are_no_longer_listed(registry: RedisRegistry, keys: Keys) -> None:
    now = registry.client.time()[0]
    registry.client.zadd(keys.scalers, {"gone": now - 3700, "here": now - 3500})
    registry.acquire("a")
    assert [b"here", b"a"] == registry.client.zrange(keys.scalers, 0, -1)
