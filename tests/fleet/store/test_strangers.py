"""What strangers write into keys that hold no part of a publication is told by the acting scaler, once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fleet.backend import Backend, Phase
from fleet.registry import Change, Happening, Lease, ProxyReading, Summary
from fleet.release import Release, Releases

if TYPE_CHECKING:
    from fleet.store.keys import Keys
    from fleet.store.proxy_side import RedisNoticeboard
    from fleet.store.scaler_side import RedisRegistry

CHANGE = Change(
    {"production1": Backend("production1", Phase.SERVING, "http://127.0.0.1:3001")},
    1,
    Summary("UP", 1),
    (Happening(1.0, "decision"),),
)


@pytest.fixture
def lease(registry: RedisRegistry) -> Lease:
    lease = registry.acquire("a")
    assert lease is not None
    registry.publish(lease, CHANGE)
    return lease


@pytest.mark.parametrize(
    ("commands", "told"),
    [
        ([("SET", "token", "garbage!")], "{token}: must be the token given last, was 'garbage?', written again"),
        ([("DEL", "token"), ("RPUSH", "token", "x")], "{token}: must be the token given last, was none, written again"),
        ([("DEL", "scalers"), ("SET", "scalers", "x")], "{scalers}: must be a zset, was a string, made anew"),
        ([("ZADD", "scalers", "1e300", "nan")], "{scalers}: 'nan' at 1e+300 is no id and time, removed"),
        ([("DEL", "scaler"), ("SET", "scaler", "x")], "{scaler}: must be a hash, was a string, made anew"),
        ([("HSET", "scaler", "state", "x")], "{scaler}: not as it was published, written again"),
        ([("DEL", "events"), ("SET", "events", "x")], "{events}: must be a stream, was a string, made anew"),
        ([("XADD", "events", "9999999999999-1", "kind", "x")], "{events}: 9999999999999-1 written by a stranger"),
        ([("DEL", "proxies"), ("SET", "proxies", "x")], "{proxies}: must be a zset, was a string, made anew"),
        ([("ZADD", "proxies", "1", "a b")], "{proxies}: 'a?b' at 1 is no id and time, removed"),
        ([("SET", "lasting", "x")], "{lasting}: must be a set, was a string, made anew"),
        ([("SADD", "lasting", "nobody")], "{lasting}: 'nobody' is no proxy, removed"),
        ([("XADD", "orders", "1-1", "kind", "x")], "{orders}: ignored order 1-1: must be one of "),
        ([("HSET", "definition", "web1", "x")], "not as it was published: {definition}"),
        ([("SET", "crashes", "x")], "{crashes}: must be a stream, is of another type"),
        ([("XADD", "crashes", "1-1", "kind", "x")], "{crashes}: 1-1 written by a stranger"),
        ([("SET", "crash_index", "x")], "{crash_index}: must be a sorted set, is of another type"),
        ([("ZADD", "crash_index", "1e300", "x")], "{crash_index}: 'x' has no time"),
        ([("SET", "webhooks", "x")], "{webhooks}: must be a hash, is of another type"),
        ([("HSET", "webhooks", "events", "x")], "{webhooks}: not as it was written: "),
        ([("RPUSH", "webhooks_lock", "x")], "{webhooks_lock}: must be a text, is of another type"),
        ([("SET", "webhooks_lock", "x")], "{webhooks_lock}: has no end, and counts as free"),
    ],
)
def test_garbage_is_told_once_whoever_puts_it_right(
    registry: RedisRegistry, lease: Lease, keys: Keys, commands: list[tuple[str, ...]], told: str
) -> None:
    change = replace(CHANGE, releases=Releases(Release("spec", "image")))
    registry.publish(lease, change)
    assert "" == registry.overwritten()
    for verb, key, *values in commands:
        registry.client.execute_command(verb, getattr(keys, key), *values)
    registry.orders("")
    assert registry.renew(lease)
    registry.summarise(lease, CHANGE.summary)
    registry.record(lease, CHANGE.happenings)
    names = "token scalers scaler events proxies lasting orders definition crashes crash_index webhooks webhooks_lock"
    assert registry.overwritten().startswith(told.format(**{name: getattr(keys, name) for name in names.split()}))
    registry.publish(lease, change)
    for _ in range(3):
        registry.orders("")
        registry.renew(lease)
        registry.summarise(lease, CHANGE.summary)
        assert "" == registry.overwritten()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("SET", "x"), "must be a hash, was a string, made anew"),
        (("HSET", "web1", "x"), "not as the proxy wrote it, written again"),
    ],
)
async def test_what_a_proxy_finds_in_its_key_is_told_by_the_scaler(
    registry: RedisRegistry, board: RedisNoticeboard, lease: Lease, keys: Keys, command: tuple[str, ...], told: str
) -> None:
    registry.publish(lease, CHANGE)
    reading = ProxyReading("p1", "s", 1, 0, 0)
    await board.report(reading)
    registry.sight(detail=False)
    for _ in range(2):  # the same once more is news once more
        verb, *values = command
        if verb == "SET":
            registry.client.delete(keys.proxy("p1"))
        registry.client.execute_command(verb, keys.proxy("p1"), *values)
        for _ in range(3):
            await board.report(reading)
        assert reading == registry.sight(detail=False).readings[0]
        assert f"{keys.proxy('p1')}: {told}" == registry.overwritten()
        registry.sight(detail=False)
        assert "" == registry.overwritten()


def test_a_scaler_that_waits_leaves_what_it_cannot_tell_to_the_one_that_acts(
    registry: RedisRegistry, lease: Lease, keys: Keys
) -> None:
    registry.client.delete(keys.scalers)
    registry.client.set(keys.scalers, "x")
    assert registry.acquire("b") is None
    assert registry.renew(lease)
    assert f"{keys.scalers}: must be a zset, was a string, made anew" == registry.overwritten()
