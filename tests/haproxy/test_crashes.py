"""The agent's side of crashes without HAProxy: what is heard, followed and looked for, over a store in memory."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING

from fleet.backend import Backend, Phase
from fleet.clock import Clock
from fleet.crash import NO_TOKEN
from fleet.crash_journal import Journal
from fleet.crash_packing import Packer
from fleet.memory_crashes import MemoryCrashes
from fleet.profile_client import ProfileClient
from fleet.registry import Snapshot
from fleet.settings import load
from haproxy.crashes import Crashes, listening
from haproxy.hunt import Hunt
from tests.haproxy.crashing_app import TOKEN, CrashingApp, crashing_app
from tests.haproxy.rig import until
from tests.haproxy.test_failure_log import ID, line
from tests.valkey import folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fleet.crash import Crash


def snapshot(*apps: CrashingApp, phase: Phase = Phase.SERVING) -> Snapshot:
    return Snapshot(1, {app.name: Backend(app.name, phase, app.url) for app in apps})


def said(app: CrashingApp, crash_id: str = ID) -> bytes:
    return line(tail=f"127.0.0.1:{app.port} {crash_id}")


@asynccontextmanager
async def agents_side(store: MemoryCrashes, *apps: CrashingApp, token: str = TOKEN) -> AsyncIterator[Crashes]:
    """Runs until the end of the block."""
    clock, lines = Clock(), list[str]()
    journal = Journal(lambda: store, lines.append)
    async with ProfileClient(token) as client, Packer() as packer:
        hunt = Hunt(client, packer, journal, "haproxy-1", clock, lambda event, **_: lines.append(event))
        crashes = Crashes(journal, hunt, "haproxy-1", load(None).networks, clock)
        crashes.know(snapshot(*apps))
        running = asyncio.ensure_future(crashes.run())
        await asyncio.sleep(0)
        yield crashes
        running.cancel()
        await asyncio.wait([running])


def listed(store: MemoryCrashes) -> tuple[Crash, ...]:
    return store.crashes(limit=100).crashes


async def test_a_failure_of_an_address_that_nobody_has_is_listed_without_an_instance() -> None:
    store = MemoryCrashes(monotonic)
    async with agents_side(store) as crashes:
        crashes.hear(line())
        await until(lambda: [one.reason for one in listed(store)] == ["the instance has left"], "listed")
        assert "" == listed(store)[0].failure.backend


async def test_without_a_token_it_is_said_of_each_crash_that_nobody_was_asked() -> None:
    store = MemoryCrashes(monotonic)
    crashes = Crashes(Journal(lambda: store, list[str]().append), None, "haproxy-1", load(None).networks)
    running = asyncio.ensure_future(crashes.run())
    crashes.hear(line())
    await until(lambda: [one.reason for one in listed(store)] == [NO_TOKEN], "listed")
    running.cancel()
    await asyncio.wait([running])


async def test_what_is_logged_while_the_store_is_away_is_written_once_it_is_back() -> None:
    store = MemoryCrashes(monotonic, outage="gone")
    async with crashing_app("production1") as app, agents_side(store, app) as crashes:
        app.keep(ID)
        crashes.hear(said(app))
        await until(lambda: app.claimed == [ID], "fetched")
        assert [] == app.removed
        store.outage = None
        await until(lambda: app.removed == [ID], "stored and removed")
        assert ["ZeroDivisionError"] == [one.capture.exception for one in listed(store) if one.capture]


async def test_a_count_of_errors_that_was_not_heard_of_leads_to_a_look() -> None:
    store = MemoryCrashes(monotonic)
    async with crashing_app("production1") as app, agents_side(store, app) as crashes:
        crashes.notice({"production1": 3})
        crashes.notice({"production1": 4})
        app.keep("unheard")
        # Whatever waits is looked for every 10 s.
        await until(lambda: app.removed == ["unheard"], "found", 8.0)
        assert ["unheard"] == [one.failure.id for one in listed(store)]


async def test_what_may_be_another_planes_is_left_to_it_for_a_while() -> None:
    store = MemoryCrashes(monotonic)
    async with crashing_app("production1") as app, agents_side(store, app) as crashes:
        assert crashes.hunt is not None
        app.keep("anothers")
        crashes.hunt._due_s["production1"] = 0.0
        await until(lambda: ("GET", "/__stoker/profiles") in app.asked, "looked")
        app.asked.clear()
        assert ["anothers"] == list(app.kept)
        app.age_s = 4.0
        crashes.hunt._due_s["production1"] = 0.0
        await until(lambda: app.removed == ["anothers"], "found")


async def test_a_wrong_token_opens_nothing_and_is_said_once() -> None:
    store = MemoryCrashes(monotonic)
    async with crashing_app("production1") as app, agents_side(store, app, token="another-token-of-16") as crashes:
        app.keep(ID)
        crashes.hear(said(app))
        await until(lambda: any("same token" in one.reason for one in listed(store)), "listed")
        assert [ID] == list(app.kept)


async def test_every_line_sent_to_the_socket_is_heard_and_the_socket_is_ours_alone() -> None:
    heard: list[bytes] = []
    with folder() as path, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
        ear = path / "failed.sock"
        ear.touch()
        with listening(ear, None, heard.append):
            assert 0o600 == ear.stat().st_mode & 0o777
            for number in range(100):
                mouth.sendto(b"%d" % number, str(ear))
            await until(lambda: len(heard) == 100, "all heard")
        assert [b"%d" % number for number in range(100)] == heard
        assert not ear.exists()
