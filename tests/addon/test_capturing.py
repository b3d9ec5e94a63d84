"""The capturer against real apps, good and bad, with a store in memory."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from addon import capturing
from addon.capturing import QUEUED, TOO_MANY, Capturer, Job, Pace
from addon.replay import Replayer
from fleet import profile_client
from fleet.crash import NO_TOKEN, Crash, Source, Uncaptured
from fleet.crash_journal import Journal
from fleet.memory_crashes import MemoryCrashes
from fleet.profile_client import UNSERVED
from tests.addon.crash_app import CrashApp, crash_app
from tests.contracts.crashes import document, failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOKEN = "0123456789abcdef"


class Desk:
    """A capturer at work, and what it has written down."""

    def __init__(self, token: str | None = TOKEN, replayer: Replayer | None = None) -> None:
        self.store = MemoryCrashes(lambda: 1000.0)
        self.said: list[str] = []
        self.journal = Journal(lambda: self.store, self.said.append)
        self.capturer = Capturer(self.journal, token, replayer)

    def crash(self, app: CrashApp, crash_id: str = "c1", method: str = "GET", path: str = "/orders/1") -> None:
        found = failure(crash_id, method=method, path=path)
        self.journal.note(found)
        self.capturer.add(Job(found, app.url, path + "?q=1", {"Host": "app.example", "Cookie": "a=1"}))

    async def settled(self, count: int = 1) -> tuple[Crash, ...]:
        """The crashes, once so many have their capture or the reason why there is none."""
        async with asyncio.timeout(10):
            while True:
                crashes = self.store.crashes(limit=2000).crashes
                if sum(bool(one.capture or one.reason) for one in crashes) >= count:
                    return crashes
                await asyncio.sleep(0.01)


@asynccontextmanager
async def working(desk: Desk) -> AsyncIterator[Desk]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(desk.journal.run()), group.create_task(desk.capturer.run())]
        yield desk
        for task in tasks:
            task.cancel()


@pytest.fixture
async def app() -> AsyncIterator[CrashApp]:
    async with crash_app(TOKEN) as running:
        yield running


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with working(Desk()) as made:
        yield made


async def test_a_document_is_stored_and_then_removed_from_the_app(app: CrashApp, desk: Desk) -> None:
    app.kept["c1"] = document("c1")
    desk.crash(app)
    [crash] = await desk.settled()
    assert crash.capture is not None
    assert ("ZeroDivisionError", "app/models/order.rb:12:in share") == crash.group
    kept = json.loads(desk.store.document("c1") or b"")
    assert ("production1", "capture") == (kept["proxy"]["backend"], kept["proxy"]["source"])
    async with asyncio.timeout(5):
        while not app.removed:  # noqa: ASYNC110  # the app in the test knows no event
            await asyncio.sleep(0.01)
    assert ["c1"] == app.removed


async def test_a_file_that_comes_after_the_answer_is_waited_for(app: CrashApp, desk: Desk) -> None:
    asyncio.get_running_loop().call_later(0.5, app.kept.__setitem__, "c1", document("c1"))
    desk.crash(app)
    [crash] = await desk.settled()
    assert crash.capture is not None
    assert 1 < len(app.lookups) <= 6


async def test_an_app_that_knows_nothing_is_asked_for_two_seconds_and_later_only_once(
    app: CrashApp, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 2.0 == pytest.approx(sum(capturing.RETRIES_S))
    monkeypatch.setattr(capturing, "RETRIES_S", (0.01, 0.01))
    for number in range(1, 6):
        desk.crash(app, f"c{number}")
        await desk.settled(number)
    assert [3, 3, 3, 1, 1] == [app.lookups.count(f"c{number}") for number in range(1, 6)]
    assert {"the app has nothing of it"} == {one.reason for one in await desk.settled(5)}


async def test_without_a_token_it_is_said_of_each_crash_that_nobody_was_asked(app: CrashApp) -> None:
    async with working(Desk(None)) as desk:
        desk.crash(app)
        assert [NO_TOKEN] == [one.reason for one in await desk.settled()]
    assert [] == app.lookups


async def test_a_wrong_token_is_as_good_as_no_middleware(app: CrashApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capturing, "RETRIES_S", ())
    app.kept["c1"] = document("c1")
    async with working(Desk("another-token-of-16")) as desk:
        desk.crash(app)
        assert [UNSERVED] == [one.reason for one in await desk.settled()]
    assert ["c1"] == list(app.kept)


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("garbage", "not JSON"),
        ("error", "the app answered 503"),
        ("endless", "the app answered more than 8388608 bytes"),
        ("trickle", "no whole answer in 0.5 s"),
        ("slow", "no whole answer in 0.5 s"),
    ],
)
async def test_an_app_that_serves_no_document_is_left_alone_with_a_reason(
    app: CrashApp, monkeypatch: pytest.MonkeyPatch, manner: str, reason: str
) -> None:
    monkeypatch.setattr(profile_client, "EXCHANGE_S", 0.5 if "0.5" in reason else 5.0)
    app.manner = manner
    async with working(Desk()) as desk:
        desk.crash(app)
        [crash] = await desk.settled()
    assert crash.reason.startswith(reason)
    assert app.sent < 64 * 1024 * 1024


async def test_a_document_of_another_crash_is_none(app: CrashApp, desk: Desk) -> None:
    app.kept["c1"] = document("c2")
    desk.crash(app)
    [crash] = await desk.settled()
    assert crash.reason == "the document's id must be c1, was 'c2'"


async def test_an_app_that_died_is_named_as_such(desk: Desk) -> None:
    async with crash_app(TOKEN) as gone:
        pass
    desk.crash(gone)
    [crash] = await desk.settled()
    assert "the app could not be asked: " in crash.reason


async def test_a_flood_of_one_kind_is_bounded_and_leaves_room_for_another_kind(
    app: CrashApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capturing, "PER_S", 1000.0)
    desk = Desk()
    for number in range(300):
        app.kept[f"c{number}"] = document(f"c{number}")
        desk.crash(app, f"c{number}")
    app.kept["other"] = document("other")
    desk.crash(app, "other", path="/other")
    async with working(desk):
        crashes = await desk.settled(301)
    reasons = [one.reason for one in crashes if one.capture is None]
    assert [TOO_MANY] * (301 - QUEUED) == reasons
    assert next(one for one in crashes if one.failure.id == "other").capture is not None


async def test_what_waits_at_the_end_is_given_up_with_a_reason(app: CrashApp) -> None:
    desk = Desk()
    desk.crash(app)
    desk.capturer.abandon("the proxy ended")
    async with working(desk):
        assert ["the proxy ended"] == [one.reason for one in await desk.settled()]


async def test_while_the_store_is_gone_documents_wait_and_nothing_is_lost(app: CrashApp, desk: Desk) -> None:
    desk.store.outage = "gone"
    for number in range(20):
        app.kept[f"c{number}"] = document(f"c{number}")
        desk.crash(app, f"c{number}")
    async with asyncio.timeout(5):
        while len(app.claimed) < capturing.AT_ONCE:  # noqa: ASYNC110  # the app in the test knows no event
            await asyncio.sleep(0.01)
    assert [] == app.removed
    desk.store.outage = None
    crashes = await desk.settled(20)
    assert 20 == sum(one.capture is not None for one in crashes)
    assert ["store in memory: gone; crashes are kept in memory, 5000 entries at most", "crashes are written again"] == (
        desk.said
    )


async def test_a_replay_goes_to_the_same_backend_with_its_authorization_and_is_labelled(app: CrashApp) -> None:
    async with working(Desk(None, Replayer(60.0))) as desk:
        desk.crash(app, "c1", path="/graph")
        [crash] = await desk.settled()
        assert crash.capture is not None
        assert (Source.REPLAY, True) == (crash.capture.source, crash.capture.profiled)
        assert "var data = [" in json.loads(desk.store.document("c1") or b"")["page"]
        [replay] = app.replays
        assert ("/graph?q=1", "GET", "app.example", "a=1") == tuple(
            replay[key] for key in ("path", "method", "Host", "Cookie")
        )
        desk.crash(app, "c2", path="/graph")
        crashes = await desk.settled(2)
        assert NO_TOKEN == crashes[1].reason
    assert 1 == len(app.replays)


@pytest.mark.parametrize(("method", "path", "count"), [("POST", "/graph", 0), ("HEAD", "/graph", 1), ("GET", "/no", 1)])
async def test_only_a_get_or_a_head_is_replayed_and_only_a_graph_counts(
    app: CrashApp, method: str, path: str, count: int
) -> None:
    async with working(Desk(None, Replayer(60.0))) as desk:
        desk.crash(app, "c1", method, path)
        [crash] = await desk.settled()
    assert count == len(app.replays)
    assert (method == "HEAD") == (crash.capture is not None)


def test_the_pace_lets_some_begin_at_once_and_the_rest_one_after_the_other() -> None:
    pace = Pace(burst=3, per_s=10.0)
    assert [0.0, 0.0, 0.0, 0.1, 0.2] == pytest.approx([pace.wait_s(100.0) for _ in range(5)])
    assert 0.0 == pace.wait_s(200.0)


async def test_what_the_journal_cannot_keep_is_counted_and_said_once() -> None:
    store, said = MemoryCrashes(lambda: 1.0, outage="gone"), list[str]()
    journal = Journal(lambda: store, said.append, limit=3)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(journal.run())
        await asyncio.sleep(0)
        for number in range(5):
            journal.note(failure(f"c{number}"))
        journal.note(Uncaptured("c1", "x"))
        await asyncio.sleep(0)
        store.outage = None
        await journal.settle(5)
        running.cancel()
    assert ["c0", "c1", "c2"] == [one.failure.id for one in store.crashes(limit=9).crashes]
    assert [
        "store in memory: gone; crashes are kept in memory, 3 entries at most",
        "crashes are written again, 3 entries are lost",
    ] == said


async def test_at_the_end_what_is_lost_is_said() -> None:
    said: list[str] = []
    journal = Journal(lambda: MemoryCrashes(lambda: 1.0), said.append)
    journal.note(failure("c1"))
    await journal.settle(0.01)
    assert ["1 entries about crashes are lost: the store could not be reached"] == said
