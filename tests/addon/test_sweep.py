"""What waits in an app and did not fail here, over a real app and a store in memory."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from addon import sweep
from addon.counter import Upstream
from addon.sweep import Sweep
from fleet.crash import Symptom
from fleet.crash_journal import Journal
from fleet.crash_packing import Packer
from fleet.memory_crashes import MemoryCrashes
from tests.haproxy.crashing_app import TOKEN, CrashingApp, crashing_app
from tests.haproxy.rig import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "SWEEP_S", 0.05)


@pytest.fixture
async def app() -> AsyncIterator[CrashingApp]:
    async with crashing_app("production1") as running:
        running.age_s = sweep.OTHERS_S
        yield running


@asynccontextmanager
async def sweeping(
    store: MemoryCrashes, app: CrashingApp, token: str = TOKEN, is_awaited: Callable[[str], bool] = lambda _: False
) -> AsyncIterator[None]:
    journal = Journal(lambda: store, list[str]().append)
    upstream = Upstream(app.name, app.url, ("127.0.0.1", app.port))
    upstream.serving = True
    async with Packer() as packer, asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(journal.run()),
            group.create_task(Sweep(journal, token, "mitmproxy-1", lambda: [upstream]).run(packer, is_awaited)),
        ]
        yield
        for task in tasks:
            task.cancel()


async def test_a_slow_request_is_found_and_listed_as_the_app_tells_it(app: CrashingApp) -> None:
    store = MemoryCrashes(monotonic)
    app.keep("c1", why="slow", exception=None)
    async with sweeping(store, app):
        await until(lambda: app.removed == ["c1"], "found")
    [crash] = store.crashes(limit=10).crashes
    failure = crash.failure
    assert (Symptom.SLOW, "mitmproxy", "production1", "/orders/1") == (
        failure.failure,
        failure.plane,
        failure.backend,
        failure.path,
    )
    assert crash.capture is not None
    assert crash.capture.profiled
    assert store.document("c1") is not None


async def test_what_is_young_or_awaited_is_left_alone(app: CrashingApp) -> None:
    store = MemoryCrashes(monotonic)
    app.age_s = sweep.OTHERS_S - 0.1
    app.keep("young")
    async with sweeping(store, app, is_awaited="awaited".__eq__):
        await until(lambda: len(app.asked) >= 3, "asked")
        app.age_s = sweep.OTHERS_S
        app.keep("awaited")
        await until(lambda: app.removed == ["young"], "grown old")
        before = len(app.asked)
        await until(lambda: len(app.asked) >= before + 3, "asked again")
    assert ["awaited"] == list(app.kept)


async def test_what_is_no_document_goes_and_the_next_is_taken(
    app: CrashingApp, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryCrashes(monotonic)
    app.kept["bad"] = b"<html>"
    app.keep("good")
    async with sweeping(store, app):
        await until(lambda: app.removed == ["bad", "good"], "both done with")
    assert ["good"] == [one.failure.id for one in store.crashes(limit=10).crashes]
    assert 1 == sum(
        "what production1 gave as the profile bad is not used: not JSON" in line for line in caplog.messages
    )


async def test_an_app_without_the_middleware_is_asked_once_in_a_while(app: CrashingApp) -> None:
    async with sweeping(MemoryCrashes(monotonic), app, token="another-token-of-16"):
        await until(lambda: len(app.asked) == 1, "asked")
        with pytest.raises(AssertionError):
            await until(lambda: len(app.asked) > 1, "asked again", 0.3)
