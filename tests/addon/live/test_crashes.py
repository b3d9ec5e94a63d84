"""Requests that fail behind a real mitmdump: each is listed, and its document is there."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from fleet.crash import NO_TOKEN, Source, Symptom
from fleet.embedded import EmbeddedValkey
from fleet.settings import load
from fleet.store.opening import open_crash_desk
from tests.addon.backends import backend
from tests.addon.crash_app import CrashApp, crash_app
from tests.addon.live.test_store_loss import once_each
from tests.addon.rig import client, proxy
from tests.doors import patient
from tests.valkey import folder, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fleet.crash import Crash
    from fleet.settings import Settings
    from fleet.store.crashes import RedisCrashDesk
    from tests.addon.rig import Proxy

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

TOKEN = "0123456789abcdef-token"


@pytest.fixture
def settings(valkey: EmbeddedValkey, fleet_name: str, tmp_path: Path) -> Settings:
    return load(None, fleet=fleet_name, redis_url=valkey.url, state_dir=tmp_path, profile_token=TOKEN)


@pytest.fixture
def desk(settings: Settings) -> Iterator[RedisCrashDesk]:
    opened = patient(open_crash_desk(settings))
    yield opened
    opened.close()


async def listed(desk: RedisCrashDesk, reached: Callable[[tuple[Crash, ...]], bool]) -> tuple[Crash, ...]:
    """What is listed once this holds."""
    async with asyncio.timeout(30):
        while True:
            crashes = (await asyncio.to_thread(desk.crashes, limit=5000)).crashes
            if reached(crashes):
                return crashes
            await asyncio.sleep(0.02)


def counted(count: int) -> Callable[[tuple[Crash, ...]], bool]:
    return lambda crashes: len(crashes) == count


def settled(count: int) -> Callable[[tuple[Crash, ...]], bool]:
    return lambda crashes: sum(bool(one.capture or one.reason) for one in crashes) >= count


async def ask(running: Proxy, *targets: str) -> None:
    for target in targets:
        async with client(running.port) as connection:
            with suppress(OSError, asyncio.IncompleteReadError):
                await connection.ask(target, "X-Stoker-Request: 00000000000000000000000000000000")


async def test_every_way_to_fail_is_listed_with_its_document(
    settings: Settings, desk: RedisCrashDesk, tmp_path: Path
) -> None:
    async with crash_app(TOKEN) as app:
        with proxy(settings, tmp_path) as running:
            await running.serve(app)
            await ask(running, "/fine", "/crash/1?password=hunter2", "/abort", "/break")
            crashes = await listed(desk, settled(3))
            await running.idle(4)
            log = running.log()
    seen = [(one.failure.path, one.failure.status, one.failure.failure) for one in crashes]
    assert [
        ("/crash/1", 500, Symptom.STATUS),
        ("/abort", None, Symptom.ABORTED),
        ("/break", 200, Symptom.BROKEN),
    ] == seen
    assert app.ids[1:] == [one.failure.id for one in crashes]
    assert all(re.fullmatch(r"(?!0{32})[0-9a-f]{32}", crash_id) for crash_id in app.ids)
    assert [True] * 3 == [desk.document(one.failure.id) is not None for one in crashes]
    assert {("production1", "GET", "proxy")} == {
        (one.failure.backend, one.failure.method, one.failure.proxy) for one in crashes
    }
    assert all(one.capture and one.capture.source is Source.CAPTURE and one.capture.profiled for one in crashes)
    kept = b"".join(desk.document(one.failure.id) or b"" for one in crashes)
    assert b"hunter2" not in kept
    assert TOKEN not in log


async def test_what_no_app_has_seen_is_no_crash(settings: Settings, desk: RedisCrashDesk, tmp_path: Path) -> None:
    gone = CrashApp(TOKEN, port=free_port())
    with proxy(settings, tmp_path, "stoker_hold=0.2") as running:
        await running.serve(gone)
        await ask(running, "/crash", "/__stoker/profiles", "/__stoker/profiles/x")
        await running.idle(1)
        running.end()
        await running.ended()
    assert () == desk.crashes(limit=10).crashes


async def test_a_client_gets_no_profile_even_with_the_token(settings: Settings, tmp_path: Path) -> None:
    async with crash_app(TOKEN) as app:
        with proxy(settings, tmp_path) as running:
            await running.serve(app)
            async with client(running.port) as connection:
                for path in ("/__stoker/profiles", "/__stoker/profiles/c1", "/%5f_stoker/profiles/c1"):
                    assert 404 == (await connection.ask(path, f"X-Stoker-Token: {TOKEN}")).status
    assert [] == app.lookups


async def test_an_app_that_dies_with_its_request_is_listed_with_the_reason(
    settings: Settings, desk: RedisCrashDesk, tmp_path: Path
) -> None:
    async with backend("production1") as one:
        with proxy(settings, tmp_path) as running:
            await running.serve(one)
            await ask(running, "/drop")
            [crash] = await listed(desk, settled(1))
    assert Symptom.ABORTED is crash.failure.failure
    assert crash.reason


async def test_without_a_token_one_line_says_so_and_crashes_are_listed(
    settings: Settings, desk: RedisCrashDesk, tmp_path: Path
) -> None:
    bare = settings.model_copy(update={"profile_token": None})
    async with crash_app(TOKEN) as app:
        with proxy(bare, tmp_path) as running:
            await running.serve(app)
            await ask(running, "/crash")
            await listed(desk, lambda crashes: [one.reason for one in crashes] == [NO_TOKEN])
            assert 1 == running.log().count("STOKER_PROFILE_TOKEN is not set")
    assert [] == app.lookups


async def test_a_bad_token_stops_the_start_in_one_line_without_showing_it(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOKER_PROFILE_TOKEN", "hunter2")
    with (
        pytest.raises(AssertionError, match="profile_token: must be 16 to 200") as caught,
        proxy(settings.model_copy(update={"profile_token": None}), tmp_path),
    ):
        pass
    assert "hunter2" not in str(caught.value)


async def test_a_share_of_requests_is_asked_to_be_profiled(settings: Settings, tmp_path: Path) -> None:
    async with crash_app(TOKEN) as app:
        with proxy(settings, tmp_path, "stoker_profile_share=1") as running:
            await running.serve(app)
            await ask(running, "/fine", "/fine")
    assert [TOKEN, TOKEN] == app.asked_to_profile


async def test_a_failed_get_is_replayed_where_that_is_wanted(
    settings: Settings, desk: RedisCrashDesk, tmp_path: Path
) -> None:
    bare = settings.model_copy(update={"profile_token": None})
    async with crash_app(TOKEN) as app:
        with proxy(bare, tmp_path, "stoker_replay=true") as running:
            await running.serve(app)
            async with client(running.port) as connection:
                await connection.ask("/crash/graph?user=1", "Cookie: session=7", "Authorization: Basic eA==")
            [crash] = await listed(desk, settled(1))
            await running.idle(1)
    assert crash.capture is not None
    assert (Source.REPLAY, True) == (crash.capture.source, crash.capture.profiled)
    [replay] = app.replays
    assert ("/crash/graph?user=1", "session=7", "Basic eA==", "app.example") == tuple(
        replay[key] for key in ("path", "Cookie", "Authorization", "Host")
    )


async def test_crashes_while_redis_is_gone_are_written_down_when_it_is_back(tmp_path: Path) -> None:
    with folder() as path, EmbeddedValkey(path) as own:
        settings = load(None, fleet="lost", redis_url=own.url, state_dir=tmp_path, profile_token=TOKEN)
        async with crash_app(TOKEN) as app:
            with proxy(settings, tmp_path) as running:
                await running.serve(app)
                assert own.pid is not None
                os.kill(own.pid, signal.SIGKILL)
                await ask(running, *["/crash"] * 12)
                own.stop()
                own.start()
                desk = patient(open_crash_desk(settings))
                try:
                    crashes = await listed(desk, settled(12))
                finally:
                    desk.close()
                assert 12 == sum(one.capture is not None for one in crashes)
                assert once_each(running.log(), "crashes are kept in memory", "crashes are written again")


async def test_a_crash_is_listed_within_a_second_also_right_before_the_end(
    settings: Settings, desk: RedisCrashDesk, tmp_path: Path
) -> None:
    async with crash_app(TOKEN) as app:
        app.file_after_s = 60.0
        with proxy(settings, tmp_path) as running:
            await running.serve(app)
            took_s = []
            for count in (1, 2, 3):
                await ask(running, "/crash")
                began_s = monotonic()
                await listed(desk, counted(count))
                took_s.append(monotonic() - began_s)
            # One of them may meet a machine that is busy with others.
            assert sorted(took_s)[1] < 1.0
            await ask(running, "/crash")
            running.end()
            assert 0 == await running.ended()
    assert 4 == len(desk.crashes(limit=10).crashes)
