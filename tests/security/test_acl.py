"""The users of example/redis.acl: each role's whole work with its own rights, and nothing of another's."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import redis

from fleet.backend import Backend, Phase
from fleet.crash import Capture, Source, Uncaptured
from fleet.delivery import Place
from fleet.errors import StoreUnavailableError
from fleet.registry import Change, Happening, Order, OrderKind, ProxyReading, Snapshot, Summary
from fleet.store.address import address_of
from fleet.store.connection import connect
from fleet.store.keys import Keys
from fleet.store.opening import (
    open_crash_desk,
    open_crash_log,
    open_delivery,
    open_desk,
    open_noticeboard,
    open_registry,
)
from stoker.webhooks.courier import Courier
from stoker.webhooks.place import PlaceFile
from tests.contracts.crashes import failure
from tests.haproxy.rig import until
from tests.security.roles import EXAMPLE, ROLES, SERVERS, guarded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fleet.settings import Settings

pytestmark = pytest.mark.live

KEYS = Keys("stoker", "production")
BACKENDS = {"production1": Backend("production1", Phase.SERVING, "http://127.0.0.1:3001")}
CHANGE = Change(BACKENDS, 1, Summary("UP", 1), (Happening(1.0, "decision"),))
READING = ProxyReading("p1", "s", 1, 0, 0)


@pytest.fixture(scope="module", params=list(SERVERS))
def users(request: pytest.FixtureRequest) -> Iterator[dict[str, Settings]]:
    with guarded(request.param) as found:
        yield found


@pytest.fixture
def fresh(users: dict[str, Settings]) -> dict[str, Settings]:
    """The same with no data."""
    with closing(client(users["admin"])) as admin:
        admin.flushall()
        admin.script_flush()
    return users


def client(settings: Settings) -> redis.Redis:
    assert settings.redis_url is not None
    return connect(address_of(settings, settings.redis_url.get_secret_value()))


def publish(settings: Settings) -> int:
    with closing(open_registry(settings)) as registry:
        lease = registry.acquire("a") or registry.acquire("b")
        assert lease is not None
        return registry.publish(lease, CHANGE)


def test_the_scaler_does_all_that_it_does(fresh: dict[str, Settings]) -> None:
    with closing(client(fresh["admin"])) as admin, closing(open_registry(fresh["scaler"])) as registry:
        lease = registry.acquire("a")
        assert lease is not None
        assert registry.renew(lease)
        registry.publish(lease, CHANGE)
        registry.publish(lease, Change({}, 1, Summary("UP", 0)))
        registry.publish(lease, CHANGE)
        registry.summarise(lease, Summary("UP", 1, paused=True))
        registry.record(lease, [Happening(2.0, "fault")])
        asyncio.run(report(fresh["proxy"]))
        open_desk(fresh["operator"]).place(Order(OrderKind.PAUSE))
        assert [OrderKind.PAUSE] == [order.kind for order in registry.orders("")]
        assert ("p1",) == tuple(one.id for one in registry.sight(detail=True).readings)
        assert (BACKENDS, True) == ((registry.recall().snapshot or Snapshot(0, {})).backends, registry.recall().paused)
        # Each publication looks at what the proxies that live have applied.
        registry.publish(lease, Change({}, 1, Summary("UP", 0)))
        registry.publish(lease, CHANGE)
        registry.remember(lease, "p1", lasting=True)
        registry.remember(lease, "p1", lasting=False)
        registry.forget(lease, "p1")
        assert () == registry.sight(detail=True).readings
        assert "" == registry.overwritten()
        # What a stranger made something else of is put right with these rights, too.
        for key in (KEYS.events, KEYS.backends, KEYS.scaler, KEYS.generation, KEYS.orders, KEYS.serial, KEYS.scalers):
            admin.delete(key)
            admin.rpush(key, "x")
        assert "" != registry.overwritten()
        assert registry.renew(lease)
        registry.publish(lease, CHANGE)
        assert (BACKENDS, ()) == ((registry.recall().snapshot or Snapshot(0, {})).backends, registry.recall().faults)
        registry.release(lease)


async def test_the_scaler_is_woken_and_the_proxy_told(fresh: dict[str, Settings]) -> None:
    board, registry = open_noticeboard(fresh["proxy"]), open_registry(fresh["scaler"])
    try:
        woken = asyncio.ensure_future(asyncio.to_thread(next, registry.wakes()))
        told = asyncio.ensure_future(anext(aiter(board.changes())))
        with closing(client(fresh["admin"])) as admin:
            await until(lambda: all(count for _, count in admin.pubsub_numsub(KEYS.wake, KEYS.changes)), "both listen")
        await board.wake()
        await woken
        assert publish(fresh["scaler"]) == await told
    finally:
        registry.close()
        await board.aclose()


async def report(settings: Settings) -> Snapshot | None:
    board = open_noticeboard(settings)
    try:
        await board.report(READING)
        return await board.snapshot()
    finally:
        await board.aclose()


async def test_a_proxy_does_all_that_it_does(fresh: dict[str, Settings]) -> None:
    publish(fresh["scaler"])
    snapshot = await report(fresh["proxy"])
    assert snapshot is not None
    assert BACKENDS == snapshot.backends
    board, crashes = open_noticeboard(fresh["proxy"]), open_crash_log(fresh["proxy"])
    try:
        await board.leave("p1")
        await crashes.failed([failure("c1"), failure("c2")])
        for crash_id in ("c1", "c2"):
            await crashes.captured(capture(crash_id), b"packed")
        await crashes.uncaptured([Uncaptured("c3", "why")])
    finally:
        await board.aclose()
        await crashes.aclose()
    with closing(open_crash_desk(fresh["reader"])) as desk, closing(client(fresh["reader"])) as reader:
        assert ["c1", "c2"] == [crash.failure.id for crash in desk.crashes(limit=10).crashes]
        # One document is kept, by these settings.
        assert [None, b"packed"] == [reader.get(KEYS.crash(crash_id)) for crash_id in ("c1", "c2")]


def capture(crash_id: str) -> Capture:
    return Capture(
        id=crash_id, exception="E", message=None, where="x", profiled=False, unprofiled="", source=Source.CAPTURE
    )


def test_an_operator_reads_everything_and_leaves_orders(fresh: dict[str, Settings]) -> None:
    publish(fresh["scaler"])
    asyncio.run(report(fresh["proxy"]))
    with closing(open_desk(fresh["operator"])) as desk:
        placed = desk.place(Order(OrderKind.RESUME))
        assert "-" in placed
        assert (("p1",), {}) == (tuple(one.id for one in desk.status().sighting.readings), desk.status().extra)


def test_a_reader_reads_everything(fresh: dict[str, Settings]) -> None:
    generation = publish(fresh["scaler"])
    asyncio.run(report(fresh["proxy"]))
    with closing(open_desk(fresh["reader"])) as desk, closing(open_crash_desk(fresh["reader"])) as crashes:
        status = desk.status()
        assert (generation, {}) == (status.snapshot and status.snapshot.generation, status.extra)
        assert generation == (desk.status(status.snapshot).snapshot or Snapshot(0, {})).generation
        assert ["decision"] == [happening.kind for _, happening in desk.history("", wait_s=0)]
        assert () == crashes.follow("", wait_s=0.01)
        assert [] == list(crashes.crashes(limit=1, within_s=60).crashes)


class Receiver:
    """Takes every message."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def send(self, _identity: str, body: bytes, _timestamp: str) -> str:
        self.got.append(body)
        return ""


def test_a_courier_reads_everything_and_writes_down_how_far_it_got(fresh: dict[str, Settings], tmp_path: Path) -> None:
    settings, receiver = fresh["webhooks"], Receiver()
    desk, crashes, delivery = open_desk(settings), open_crash_desk(settings), open_delivery(settings)
    with closing(desk), closing(crashes), closing(delivery):
        now = [1e6]
        courier = Courier(
            settings, "c", desk, crashes, delivery, receiver, PlaceFile(tmp_path / "place"), lambda: now[0]
        )
        courier.step()
        with closing(open_registry(fresh["scaler"])) as registry:
            lease = registry.acquire("a")
            assert lease is not None
            registry.record(lease, [Happening(2.0, "fault", "no-data", after="begins")])
        courier.step()
        now[0] += 2 * settings.webhooks.every_s
        courier.step()
        courier.close()
        assert 1 == len(receiver.got)
        # Where it got to is known to whoever comes next.
        assert "" != (delivery.hold("d") or Place()).events


WRITES: dict[str, tuple[str, ...]] = {
    "backends": ("HSET", KEYS.backends, "production9", "{}"),
    "instances": ("SET", KEYS.instances, "9"),
    "generation": ("SET", KEYS.generation, "9"),
    "serial": ("SET", KEYS.serial, "9"),
    "lease": ("SET", KEYS.lease, "x:1"),
    "token": ("SET", KEYS.token, "9:x"),
    "definition": ("HSET", KEYS.definition, "x", "y"),
    "scaler": ("HSET", KEYS.scaler, "x", "y"),
    "scalers": ("ZADD", KEYS.scalers, "1", "x"),
    "events": ("XADD", KEYS.events, "*", "x", "y"),
    "orders": ("XADD", KEYS.orders, "*", "x", "y"),
    "a proxy": ("HSET", KEYS.proxy("p1"), "x", "y"),
    "proxies": ("ZADD", KEYS.proxies, "1", "x"),
    "lasting": ("SADD", KEYS.lasting, "x"),
    "crashes": ("XADD", KEYS.crashes, "*", "x", "y"),
    "a crash": ("SET", KEYS.crash("c1"), "x"),
    "webhooks": ("HSET", KEYS.webhooks, "x", "y"),
    "webhooks' lock": ("SET", KEYS.webhooks_lock, "x"),
    "changes": ("PUBLISH", KEYS.changes, "9"),
    "wake": ("PUBLISH", KEYS.wake, "9"),
    "another fleet": ("SET", Keys("other", "production").instances, "9"),
    "another app": ("SET", Keys("stoker", "shop").instances, "9"),
}
SCALERS = {"backends", "instances", "generation", "serial", "lease", "token", "definition", "scaler", "scalers"}
MAY: dict[str, set[str]] = {
    "scaler": {*SCALERS, "events", "orders", "proxies", "lasting", "changes"},
    "proxy": {"a proxy", "proxies", "lasting", "crashes", "a crash", "wake"},
    "operator": {"orders", "wake"},
    "reader": set(),
    "webhooks": {"webhooks", "webhooks' lock"},
}
BEYOND = (
    *(("FLUSHALL",), ("FLUSHDB",), ("KEYS", "*"), ("SCAN", "0"), ("CONFIG", "GET", "*"), ("ACL", "LIST"), ("MONITOR",)),
    *(("SHUTDOWN",), ("CLIENT", "LIST"), ("CLIENT", "KILL", "TYPE", "normal"), ("LATENCY", "RESET")),
    *(("SCRIPT", "FLUSH"), ("REPLICAOF", "NO", "ONE"), ("SAVE",), ("EVAL", "return 1", "0"), ("FUNCTION", "LIST")),
    *(("RENAME", KEYS.backends, KEYS.lease), ("COPY", KEYS.crashes, KEYS.orders), ("SWAPDB", "0", "1")),
)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_writes_what_is_its_own_and_nothing_else(fresh: dict[str, Settings], role: str) -> None:
    with closing(client(fresh[role])) as connected:
        assert MAY[role] == {name for name, command in WRITES.items() if not refused(connected, *command)}
        assert [] == [command for command in BEYOND if not refused(connected, *command)]


def refused(connected: redis.Redis, *command: str) -> bool:
    try:
        connected.execute_command(*command)
    except redis.exceptions.NoPermissionError:
        return True
    return False


@pytest.mark.parametrize("role", ["proxy", "reader", "webhooks"])
def test_a_script_gives_nobody_more_than_the_user_has(fresh: dict[str, Settings], role: str) -> None:
    with pytest.raises(StoreUnavailableError, match="this user may not do that"):
        publish(fresh[role])


def test_nobody_comes_in_without_a_password(users: dict[str, Settings]) -> None:
    with closing(client(users["reader"])) as known:
        pool = known.connection_pool.connection_kwargs
    with pytest.raises(redis.exceptions.AuthenticationError), closing(redis.Redis(port=pool["port"])) as stranger:
        stranger.ping()


def test_the_example_is_of_one_line_a_user_without_comments_which_a_server_would_not_take() -> None:
    lines = EXAMPLE.read_text().splitlines()
    assert ["default", *(f"stoker-{role}" for role in ROLES)] == [line.split()[1] for line in lines]
    assert {"user"} == {line.split()[0] for line in lines}
