"""Whatever stands in our keys, reading it never fails, and the next publication puts it right."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.backend import Backend, Phase
from fleet.errors import StoreUnavailableError
from fleet.registry import (
    Change,
    Happening,
    Lease,
    Memory,
    Order,
    OrderKind,
    ProxyReading,
    Snapshot,
    Summary,
)
from fleet.release import Release, Releases
from fleet.settings import load
from fleet.store.fields import EVENT_FIELDS
from fleet.store.keys import Keys
from fleet.store.opening import (
    open_crash_desk,
    open_crash_log,
    open_delivery,
    open_desk,
    open_noticeboard,
    open_registry,
)
from fleet.store.readings import READING_FIELDS
from tests.stoker.webhooks.builders import failure

if TYPE_CHECKING:
    import redis

    from fleet.embedded import EmbeddedValkey
    from fleet.store.desk import RedisDesk
    from fleet.store.proxy_side import RedisNoticeboard
    from fleet.store.scaler_side import RedisRegistry

BACKENDS = {
    f"production{number}": Backend(f"production{number}", Phase.SERVING, f"http://127.0.0.1:{3000 + number}")
    for number in (1, 2)
}
CHANGE = Change(BACKENDS, 2, Summary("UP", 2, manual=2), (Happening(1.0, "decision"),))
WHOLE = replace(CHANGE, releases=Releases(Release("1")))


@pytest.fixture
def lease(registry: RedisRegistry) -> Lease:
    lease = registry.acquire("a")
    assert lease is not None
    registry.publish(lease, CHANGE)
    return lease


def snapshot_of(registry: RedisRegistry) -> Snapshot:
    snapshot = registry.recall().snapshot
    assert snapshot is not None
    return snapshot


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("{", "backend production2: not JSON: b'{'"),
        ("\xff", "backend production2: not JSON: b'\\xc3\\xbf'"),
        ("[]", "backend production2: must be a JSON object, was '[]'"),
        ('{"phase":"flying"}', "backend production2: unknown phase 'flying'"),
        (
            '{"phase":"serving","weight":100,"url":"http://8.8.8.8:80"}',
            "backend production2: url must be http://ip:port inside backend_networks, was 'http://8.8.8.8:80'",
        ),
        (
            '{"phase":"serving","weight":100,"url":"ftp://127.0.0.1:80"}',
            "backend production2: url must be http://ip:port inside backend_networks, was 'ftp://127.0.0.1:80'",
        ),
        (
            '{"phase":"serving","weight":NaN}',
            "backend production2: weight must be a whole number from 0 to 256, was 'nan'",
        ),
    ],
)
@pytest.mark.usefixtures("lease")
async def test_a_bad_entry_is_a_fault_and_the_others_stand(
    registry: RedisRegistry, board: RedisNoticeboard, keys: Keys, entry: str, fault: str
) -> None:
    registry.client.hset(keys.backends, "production2", entry)
    snapshot = snapshot_of(registry)
    assert (fault,) == snapshot.faults
    assert ["production1"] == list(snapshot.backends)
    assert snapshot == await board.snapshot()


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (("HSET", "backends", "production2", "{"), "{backends} 'production2'"),
        (("HSET", "backends", "production9", "{}"), "{backends} 'production9'"),
        (("HDEL", "backends", "production1"), "{backends} 'production1'"),
        (("DEL", "backends"), "{backends} 'production1', {backends} 'production2'"),
        (("SET", "backends", "x"), "{backends}"),
        (("SET", "generation", "7"), "{generation}"),
        (("DEL", "generation"), "{generation}"),
        (("SET", "instances", "x"), "{instances}"),
        (("SET", "serial", "x"), "{serial}"),
        (("DEL", "serial"), "{serial}"),
    ],
)
def test_what_a_stranger_writes_over_the_registry_is_seen_once_and_the_next_publication_mends_it(
    registry: RedisRegistry, lease: Lease, keys: Keys, command: tuple[str, ...], named: str
) -> None:
    assert "" == registry.overwritten()
    verb, key, *values = command
    registry.client.execute_command(verb, getattr(keys, key), *values)
    named_keys = {name: getattr(keys, name) for name in ("backends", "generation", "instances", "serial")}
    told = named.format(**named_keys)
    assert f"not as it was published: {told}" == registry.overwritten()
    assert "" == registry.overwritten()
    registry.publish(lease, CHANGE)
    assert "" == registry.overwritten()
    assert (BACKENDS, ()) == (snapshot_of(registry).backends, snapshot_of(registry).faults)


def test_before_anything_was_published_nothing_can_be_overwritten(registry: RedisRegistry, keys: Keys) -> None:
    registry.client.hset(keys.backends, "production2", "{")
    assert "" == registry.overwritten()


@pytest.mark.usefixtures("lease")
def test_a_name_of_another_app_is_a_fault(registry: RedisRegistry, keys: Keys) -> None:
    registry.client.hset(keys.backends, "web1", BACKENDS["production1"].to_json())
    assert ("backend 'web1': the name must be 'production' and a number",) == snapshot_of(registry).faults


@pytest.mark.usefixtures("lease")
async def test_a_registry_of_another_type_is_a_fault_and_no_data_for_a_proxy(
    registry: RedisRegistry, board: RedisNoticeboard, keys: Keys
) -> None:
    registry.client.delete(keys.backends)
    registry.client.set(keys.backends, "x")
    snapshot = snapshot_of(registry)
    assert {} == snapshot.backends
    assert (f"{keys.backends}: must be a hash, is of another type",) == snapshot.faults
    assert await board.snapshot() is None


@pytest.mark.usefixtures("lease")
async def test_a_registry_that_vanished_alone_is_a_fault_and_no_data_for_a_proxy(
    registry: RedisRegistry, board: RedisNoticeboard, keys: Keys
) -> None:
    registry.client.delete(keys.backends)
    assert (f"{keys.backends}: must hold 2 serving ones, is absent",) == snapshot_of(registry).faults
    assert await board.snapshot() is None


@pytest.mark.parametrize("value", ["", "abc", "-1", "1.5", "nan", "9" * 15, "9" * 400])
async def test_a_generation_that_is_none_is_no_data_and_a_fault(
    registry: RedisRegistry, board: RedisNoticeboard, desk: RedisDesk, lease: Lease, keys: Keys, value: str
) -> None:
    before = snapshot_of(registry).generation
    registry.client.set(keys.generation, value)
    memory = registry.recall()
    assert memory.snapshot is None
    assert memory.faults[0].startswith(f"{keys.generation}: must be a whole number below 2e+14")
    assert await board.snapshot() is None
    assert desk.status().extra[keys.generation] == memory.faults[0]
    assert registry.publish(lease, CHANGE) > before


def test_a_serial_that_would_use_up_the_names_is_a_fault(registry: RedisRegistry, lease: Lease, keys: Keys) -> None:
    registry.client.set(keys.serial, "9" * 15)
    memory = registry.recall()
    assert 0 == memory.serial
    assert (f"{keys.serial}: must be a whole number below 1e+12",) == memory.faults
    registry.publish(lease, CHANGE)
    assert 2 == registry.recall().serial


def test_a_summary_that_says_nothing_sensible_counts_as_absent(registry: RedisRegistry, keys: Keys) -> None:
    registry.client.hset(
        keys.scaler,
        mapping={
            "desired": "-3",
            "manual": "1e9",
            "paused": "perhaps",
            "rps": "nan",
            "last_order": "x",
            "reasons": "{",
        },
    )
    assert Memory() == registry.recall()


def test_an_order_that_nobody_can_have_placed_is_passed_over_and_told_once(
    registry: RedisRegistry, desk: RedisDesk, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    registry.client.xadd(keys.orders, {"kind": "dance"})
    registry.client.xadd(keys.orders, {"kind": "scale", "count": "-1"})
    placed = desk.place(Order(OrderKind.RESUME))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert (Order(OrderKind.RESUME, None, placed),) == registry.orders("")
    assert 2 == len(caplog.messages)  # each of the two is told once


def test_orders_of_another_type_are_none_until_the_next_publication_makes_way(
    registry: RedisRegistry, lease: Lease, desk: RedisDesk, keys: Keys
) -> None:
    registry.client.set(keys.orders, "x")
    assert () == registry.orders("")
    with pytest.raises(StoreUnavailableError, match=f"{keys.orders}.*WRONGTYPE"):
        desk.place(Order(OrderKind.RESUME))
    lost = f"{keys.orders}: must be a stream, was a string: the orders in it are lost"
    assert (lost,) == registry.recall().faults
    assert f"not as it was published: {lost}" == registry.overwritten()
    registry.publish(lease, CHANGE)
    assert ("", ()) == (registry.overwritten(), registry.recall().faults)
    placed = desk.place(Order(OrderKind.RESUME))
    assert (Order(OrderKind.RESUME, None, placed),) == registry.orders("")


def test_a_history_entry_of_a_stranger_is_shown_as_far_as_it_can_be_read(
    registry: RedisRegistry, desk: RedisDesk, keys: Keys
) -> None:
    registry.client.xadd(keys.events, {"at": "nan", "reasons": "{", "kind": b"\xff"}, id="1500-7")
    assert (("1500-7", Happening(1.5, "\ufffd", reasons=("{",))),) == desk.history("", wait_s=0)


def test_a_stream_whose_ids_were_used_up_begins_anew(
    registry: RedisRegistry, desk: RedisDesk, lease: Lease, keys: Keys
) -> None:
    registry.client.xadd(keys.events, {"kind": "last"}, id="18446744073709551615-18446744073709551615")
    registry.record(lease, [Happening(2.0, "first")])
    assert [Happening(2.0, "first")] == [one for _, one in desk.history("", wait_s=0)]


def test_a_lease_without_an_end_is_garbage(registry: RedisRegistry, keys: Keys) -> None:
    registry.client.set(keys.lease, "somebody:1")
    assert registry.acquire("a") is not None


def test_a_change_heals_what_changed_behind_the_scalers_back(registry: RedisRegistry, lease: Lease, keys: Keys) -> None:
    registry.client.hdel(keys.backends, "production1")
    registry.publish(lease, CHANGE)
    assert BACKENDS == snapshot_of(registry).backends


WORDS = st.sampled_from(
    [b"", b"-1", b"nan", b"1e999", b"9" * 15, b"9" * 30, b"{", b"[]", b"null", b"a:1", b"\xff", b"0"]
)
VALUES = WORDS | st.binary(max_size=8)
FIELDS = st.sampled_from(
    [name.encode() for name in (*READING_FIELDS, *EVENT_FIELDS, "backends", "production1", "desired", "manual", "kind")]
)
GARBAGE = st.one_of(
    st.tuples(st.just("string"), VALUES),
    st.tuples(st.just("hash"), st.dictionaries(FIELDS | VALUES, VALUES, min_size=1, max_size=4)),
    st.tuples(st.just("list"), VALUES),
    st.tuples(st.just("zset"), st.lists(VALUES, min_size=1, max_size=3)),
    st.tuples(st.just("stream"), st.dictionaries(FIELDS | VALUES, VALUES, min_size=1, max_size=4)),
)
NAMES = ["backends", "instances", "generation", "serial", "lease", "token", "scalers", "scaler", "orders", "events"]
NAMES += ["proxies", "proxy:p1", "lasting", "definition"]
FAILURES = ["events", "crashes", "crash-index", "webhooks", "webhooks-lock"]


def put(client: redis.Redis, key: str, kind: str, content: object) -> None:
    if isinstance(content, bytes):
        (client.rpush if kind == "list" else client.set)(key, content)
    elif isinstance(content, list):
        client.zadd(key, dict.fromkeys(content, 1.0))
    elif isinstance(content, dict) and kind == "hash":
        client.hset(key, mapping=content)
    elif isinstance(content, dict):
        client.xadd(key, content, id="18446744073709551615-18446744073709551615" if len(content) > 2 else "*")


@pytest.mark.timeout(90)
@given(garbage=st.dictionaries(st.sampled_from(NAMES), GARBAGE, max_size=12))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_garbage_in_any_key_stops_a_reader_or_outlives_a_publication(
    valkey: EmbeddedValkey, fleet_name: str, garbage: dict[str, tuple[str, object]]
) -> None:
    opened = load(None, fleet=fleet_name, redis_url=valkey.url)
    keys, registry, desk = Keys(fleet_name, "production"), open_registry(opened), open_desk(opened)
    client = registry.client

    async def as_a_proxy() -> Snapshot | None:
        board = open_noticeboard(opened)
        try:
            found = await board.snapshot()
            await board.report(ProxyReading("p1", "s", 1, 0, 0))
        finally:
            await board.aclose()
        return found

    try:
        for name, (kind, content) in garbage.items():
            put(client, f"{fleet_name}:{{production}}:{name}", kind, content)
        registry.recall()
        registry.orders("")
        registry.sight(detail=True)
        desk.status()
        asyncio.run(as_a_proxy())
        lease = registry.acquire("a")
        assert lease is not None
        assert registry.renew(lease)
        registry.overwritten()
        generation = registry.publish(lease, WHOLE)
        wanted = Snapshot(generation, BACKENDS)
        assert (
            Memory(wanted, registry.recall().serial, manual=2, desired=2, releases=WHOLE.releases) == registry.recall()
        )
        assert wanted == asyncio.run(as_a_proxy())
        assert b"2" == client.get(keys.instances)
        assert CHANGE.happenings[0] in [one for _, one in desk.history("", wait_s=0)]
        assert generation + 1 <= registry.publish(lease, WHOLE)
    finally:
        for name in NAMES:
            client.delete(f"{fleet_name}:{{production}}:{name}")
        registry.close()
        desk.close()


@pytest.mark.timeout(90)
@given(garbage=st.dictionaries(st.sampled_from(FAILURES), GARBAGE, max_size=5))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_garbage_stops_who_writes_crashes_down_or_delivers_messages(
    valkey: EmbeddedValkey, fleet_name: str, garbage: dict[str, tuple[str, object]]
) -> None:
    opened = load(None, fleet=fleet_name, redis_url=valkey.url)
    delivery, desk, crash = open_delivery(opened), open_crash_desk(opened), failure("f" * 32)

    async def write_down() -> None:
        crashes = open_crash_log(opened)
        await crashes.failed([crash])
        await crashes.aclose()

    try:
        for name, (kind, content) in garbage.items():
            put(delivery.client, f"{fleet_name}:{{production}}:{name}", kind, content)
        delivery.newest()
        asyncio.run(write_down())
        assert crash in [one.failure for one in desk.crashes(limit=10).crashes]
        assert delivery.hold("o") is not None  # a lock without an end is garbage
        place = delivery.newest()
        assert delivery.settle("o", place)
        assert place == delivery.hold("o")
        delivery.release("o")
    finally:
        for name in FAILURES:
            delivery.client.delete(f"{fleet_name}:{{production}}:{name}")
        delivery.close()
        desk.close()
