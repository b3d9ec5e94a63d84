"""Crashes behind a real HAProxy of both versions: they are listed at once, with what the app kept of them."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from fleet.backend import Backend, Phase
from fleet.crash import NO_TOKEN, Crash, Symptom
from fleet.store.opening import open_crash_desk
from tests.doors import patient
from tests.haproxy.crashing_app import TOKEN, CrashingApp, crashing_app
from tests.haproxy.rig import Client, Rig, on_both, rig, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from fleet.embedded import EmbeddedValkey

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

LISTED_S = 1.0


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_PROFILE_TOKEN", TOKEN)


@asynccontextmanager
async def crashing(
    valkey: EmbeddedValkey, fleet: str, binary: str, **options: object
) -> AsyncIterator[tuple[Rig, CrashingApp]]:
    """A plane with one app that crashes."""
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(crashing_app("production1"))
        plane = await stack.enter_async_context(rig(valkey, fleet, binary, policy_max=10, **options))
        await plane.applied(plane.publish({"production1": app.url}))
        yield plane, app


async def ask(plane: Rig, path: str, *headers: str) -> bytes:
    """One request on a connection of its own; all that came back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", plane.port)
    lines = (f"GET {path} HTTP/1.1", "Host: app.test", "Connection: close", *headers, "", "")
    writer.write("\r\n".join(lines).encode())
    answer = await reader.read(-1)
    writer.close()
    return answer


async def listed(plane: Rig, holds: Callable[[tuple[Crash, ...]], bool], within_s: float = 40.0) -> tuple[Crash, ...]:
    """The crashes, once it holds of them."""
    desk, began = patient(open_crash_desk(plane.settings)), monotonic()
    try:
        while True:
            looked = monotonic()
            found = (await asyncio.to_thread(desk.crashes, limit=2000)).crashes  # the app answers meanwhile
            if holds(found):
                return found
            assert looked < began + within_s, (len(found), found)
            await asyncio.sleep(max(0.01, monotonic() - looked))  # a thousand are a look of some length
    finally:
        desk.close()


def settled(count: int) -> Callable[[tuple[Crash, ...]], bool]:
    """So many are there, and of each it is known what came of it."""
    return lambda crashes: len(crashes) == count and all(one.capture or one.reason for one in crashes)


@on_both
async def test_a_crash_is_listed_with_its_exception_within_a_second(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with crashing(valkey, fleet_name, binary) as (plane, app):
        took_s = []
        for count in (1, 2, 3):
            assert b" 500 " in (await ask(plane, "/raise?secret=1"))[:20]
            began_s = monotonic()
            crashes = await listed(plane, settled(count))
            took_s.append(monotonic() - began_s)
        # One of them may meet a machine that is busy with others.
        assert LISTED_S > sorted(took_s)[1]
        seen = crashes[0].failure
        assert (Symptom.STATUS, "GET", "/raise", 500) == (seen.failure, seen.method, seen.path, seen.status)
        assert ("haproxy", "production1") == (seen.plane, seen.backend)
        assert ["ZeroDivisionError"] * 3 == [one.capture.exception for one in crashes if one.capture]
        ids = [one.failure.id for one in crashes]
        assert [one.headers["x-stoker-request"] for one in app.seen] == ids
        desk = open_crash_desk(plane.settings)
        kept = json.loads(desk.document(seen.id) or b"")
        desk.close()
        assert ("haproxy", "production1", "status") == tuple(
            kept["proxy"][key] for key in ("plane", "backend", "failure")
        )
        await until(lambda: ids == app.removed, "removed")
        assert 1 == app.asked.count(("GET", f"/__stoker/profiles/{seen.id}"))


@on_both
async def test_every_way_of_failing_is_written_down_once(valkey: EmbeddedValkey, fleet_name: str, binary: str) -> None:
    async with crashing(valkey, fleet_name, binary) as (plane, app):
        for path in ("/", "/raise", "/late", "/nothing", "/drop", "/break", "/garbage", "/huge", "/raise"):
            await ask(plane, path)
        found = await listed(plane, settled(8))
        told = {one.failure.path: (str(one.failure.failure), one.capture is not None) for one in found}
        assert {
            "/raise": ("status", True),
            "/late": ("status", True),
            "/nothing": ("status", False),
            "/drop": ("aborted", False),
            "/break": ("broken", True),
            "/garbage": ("status", False),
            "/huge": ("status", False),
        } == told
        reasons = {one.failure.path: one.reason for one in found}
        assert "the app has nothing of it" == reasons["/nothing"]
        assert "not a crash document of version 1" == reasons["/garbage"]
        assert "more than 8388608 bytes" in reasons["/huge"]
        assert 9 == len(app.seen)


@on_both
async def test_a_client_has_no_way_to_the_profiles_and_no_say_in_the_headers(
    valkey: EmbeddedValkey, fleet_name: str, binary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOKER_CRASHES__PROFILE_SHARE", "1.0")
    async with crashing(valkey, fleet_name, binary) as (plane, app):
        forged = ("x-stoker-request: forged", "X-Stoker-Profile: forged", f"x-stoker-token: {TOKEN}")
        assert b" 404 " in (await ask(plane, "/__stoker/profiles", *forged))[:20]
        assert [] == app.asked
        await ask(plane, "/", *forged)
        headers = app.seen[0].headers
        assert [TOKEN] == headers.getall("x-stoker-profile")
        assert 32 == len(headers["x-stoker-request"])
        assert "x-stoker-token" not in headers
        assert TOKEN not in plane.where.config.read_text()


@on_both
async def test_without_a_token_failures_are_listed_and_no_app_is_asked(
    valkey: EmbeddedValkey, fleet_name: str, binary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STOKER_PROFILE_TOKEN")
    monkeypatch.setenv("STOKER_CRASHES__PROFILE_SHARE", "1.0")
    async with crashing(valkey, fleet_name, binary) as (plane, app):
        await ask(plane, "/raise")
        await listed(plane, lambda found: [one.reason for one in found] == [NO_TOKEN])
        assert "x-stoker-profile" not in app.seen[0].headers
        assert [] == app.asked
        assert "no app is asked for profiles" in plane.log()


@on_both
async def test_failures_are_heard_over_reloads_of_haproxy_and_restarts_of_the_agent(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with crashing(valkey, fleet_name, binary) as (plane, app):
        await plane.reload()
        await ask(plane, "/raise")
        [heard] = await listed(plane, settled(1))
        # What is only found in the app is told as the app tells it.
        assert (Symptom.STATUS, "/raise") == (heard.failure.failure, heard.failure.path)
        plane.stop_agent()
        await ask(plane, "/raise")
        app.age_s = 60.0
        plane.start_agent()
        [_, crash] = await listed(plane, settled(2))
        assert (Symptom.RAISED, "/orders/1") == (crash.failure.failure, crash.failure.path)


@on_both
async def test_an_app_without_the_middleware_is_left_alone(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with crashing(valkey, fleet_name, binary) as (plane, app):
        app.with_middleware = False
        await ask(plane, "/raise")
        await listed(plane, settled(1))
        for _ in range(4):
            await ask(plane, "/raise")
        found = await listed(plane, settled(5))
        assert {"the app serves no profiles; it needs the middleware, with the same token"} == {
            one.reason for one in found
        }
        assert 2 == len(app.asked)
        assert 1 == plane.log().count('"no profiles"')


async def test_what_an_instance_kept_is_fetched_when_it_begins_to_leave(
    valkey: EmbeddedValkey, fleet_name: str
) -> None:
    async with crashing(valkey, fleet_name, "system") as (plane, app):
        app.keep("slow-one", why="slow")
        plane.publish({"production1": Backend("production1", Phase.DRAINING, app.url)})
        # Those that stay are looked at every 10 s.
        [crash] = await listed(plane, settled(1), 7.0)
        assert Symptom.SLOW == crash.failure.failure
        await until(lambda: ["slow-one"] == app.removed, "removed")


async def test_the_users_own_access_log_goes_on_with_every_request(valkey: EmbeddedValkey, fleet_name: str) -> None:
    async with crashing(valkey, fleet_name, "system", access_log='"stdout"') as (plane, _):
        await ask(plane, "/")
        await ask(plane, "/raise")
        await listed(plane, settled(1))
        lines = (r'"method":"GET","path":"\/","status":200', r'"method":"GET","path":"\/raise","status":500')
        await until(lambda: all(line in plane.log() for line in lines), "both stand in the access log")


async def test_a_thousand_crashes_in_some_seconds_are_all_written_down(valkey: EmbeddedValkey, fleet_name: str) -> None:
    async with crashing(valkey, fleet_name, "system") as (plane, app):
        clients = [Client(plane.port) for _ in range(4)]

        async def hammer(client: Client) -> None:
            for _ in range(250):
                await client.get("/raise")
                await asyncio.sleep(0.01)
            client.close()

        await asyncio.gather(*map(hammer, clients))
        found = await listed(plane, lambda crashes: len(crashes) == 1000, 60.0)
        assert 1000 == len({one.failure.id for one in found})
        assert 1000 == len(app.seen)
