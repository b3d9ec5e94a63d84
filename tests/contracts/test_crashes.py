"""One suite over crashes in memory and on real servers: what one of them does, all do."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from fleet.crash import Capture, Crash, Failure, Retention, Source, Symptom, Uncaptured
from fleet.crash_document import pack, read_document
from fleet.memory_crashes import MemoryCrashes
from fleet.settings import load
from fleet.store.keys import Keys
from fleet.store.opening import open_crash_desk, open_crash_log
from tests.contracts.crashes import document, failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fleet.crash import CrashDesk, CrashLog

RETENTION = Retention(entries=5000, documents=3, age_s=3600.0)


class Crashes(Protocol):
    @property
    def log(self) -> CrashLog: ...
    @property
    def desk(self) -> CrashDesk: ...
    def let_time_pass(self, seconds: float) -> None: ...


@dataclass
class InMemory:
    now: float = 1_800_000_000.0
    store: MemoryCrashes = field(init=False)

    def __post_init__(self) -> None:
        self.store = MemoryCrashes(lambda: self.now, RETENTION)

    @property
    def log(self) -> CrashLog:
        return self.store

    @property
    def desk(self) -> CrashDesk:
        return self.store

    def let_time_pass(self, seconds: float) -> None:
        self.now += seconds


class OnServer:
    def __init__(self, url: str, fleet: str) -> None:
        settings = load(None, fleet=fleet, redis_url=url)
        self.log = open_crash_log(settings)
        self.log.retention = RETENTION
        self.desk = open_crash_desk(settings)
        self.keys = Keys(fleet, settings.app)

    def let_time_pass(self, seconds: float) -> None:
        """As if all had been written so much earlier."""
        client: Any = self.desk.client
        keys = self.keys
        for key in client.scan_iter(f"{keys.fleet}:*"):
            left = client.pttl(key) - int(1000 * seconds)
            client.pexpire(key, max(1, left))
        for crash_id, score in client.zrange(keys.crash_index, 0, -1, withscores=True):
            client.zadd(keys.crash_index, {crash_id: score - 1000 * seconds})
        entries = client.xrange(keys.crashes)
        left = client.pttl(keys.crashes)
        client.delete(keys.crashes)
        for place, fields in entries:
            ms, _, serial = place.partition(b"-")
            client.xadd(keys.crashes, fields, id=f"{int(ms) - int(1000 * seconds)}-{serial.decode()}")
        if entries and left > 0:
            client.pexpire(keys.crashes, left)


@pytest.fixture
async def crashes(store_url: str | None, fleet_name: str) -> AsyncIterator[Crashes]:
    if store_url is None:
        yield InMemory()
        return
    opened = OnServer(store_url, fleet_name)
    yield opened
    for key in opened.desk.client.scan_iter(f"{fleet_name}:*"):
        opened.desk.client.delete(key)
    opened.desk.close()
    await opened.log.aclose()


def packed(crash_id: str) -> tuple[Capture, bytes]:
    return pack(read_document(document(crash_id), crash_id), {"backend": "production1"})


def ids(store: Crashes) -> list[str]:
    return [crash.failure.id for crash in store.desk.crashes(limit=1000).crashes]


def test_an_empty_store_lists_nothing(crashes: Crashes) -> None:
    listing = crashes.desk.crashes(limit=10)
    assert ((), "") == (listing.crashes, listing.last)
    assert () == crashes.desk.follow("", wait_s=0)
    assert crashes.desk.document("c1") is None


async def test_what_was_written_down_is_read_back(crashes: Crashes) -> None:
    broken = failure("c2", status=None, failure=Symptom.BROKEN, method="POST", path="/\N{SNOWMAN}")
    await crashes.log.failed([failure("c1"), broken])
    assert (Crash(failure("c1")), Crash(broken)) == crashes.desk.crashes(limit=10).crashes


async def test_what_was_captured_joins_its_failure(crashes: Crashes) -> None:
    capture, content = packed("c1")
    await crashes.log.failed([failure("c1"), failure("c2"), failure("c3")])
    await crashes.log.captured(capture, content)
    await crashes.log.uncaptured([Uncaptured("c2", "no answer in 2 s")])
    wanted = (Crash(failure("c1"), capture), Crash(failure("c2"), None, "no answer in 2 s"), Crash(failure("c3")))
    assert wanted == crashes.desk.crashes(limit=10).crashes
    kept = json.loads(crashes.desk.document("c1") or b"{}")
    assert ("c1", {"backend": "production1"}) == (kept["id"], kept["proxy"])


@pytest.mark.parametrize(
    "capture",
    [
        Capture("c1", "A::Error", "", "app/x.rb:1:in y", profiled=True),
        Capture("c1", unprofiled="busy", source=Source.REPLAY),
        Capture("c1", "A", "lone \ud800 surrogate".encode("utf-8", "replace").decode()),
    ],
)
async def test_every_field_of_a_capture_comes_back(crashes: Crashes, capture: Capture) -> None:
    await crashes.log.failed([failure("c1")])
    await crashes.log.captured(capture, packed("c1")[1])
    assert capture == crashes.desk.crashes(limit=1).crashes[0].capture


async def test_the_newest_are_listed_also_where_their_captures_came_much_later(crashes: Crashes) -> None:
    names = [f"c{number}" for number in range(1300)]
    await crashes.log.failed([failure(name) for name in names])
    await crashes.log.uncaptured([Uncaptured(name, "too many at once") for name in names])
    found = crashes.desk.crashes(limit=2).crashes
    assert [("c1298", "too many at once"), ("c1299", "too many at once")] == [
        (one.failure.id, one.reason) for one in found
    ]


async def test_only_those_of_a_time_span_are_listed(crashes: Crashes) -> None:
    await crashes.log.failed([failure("old")])
    crashes.let_time_pass(100)
    await crashes.log.failed([failure("new")])
    found = crashes.desk.crashes(limit=10, within_s=60).crashes
    assert ["new"] == [crash.failure.id for crash in found]
    assert ["old", "new"] == ids(crashes)


async def test_following_goes_on_after_a_listing(crashes: Crashes) -> None:
    await crashes.log.failed([failure("c1")])
    listing = crashes.desk.crashes(limit=10)
    assert () == crashes.desk.follow(listing.last, wait_s=0)
    await crashes.log.failed([failure("c2")])
    await crashes.log.uncaptured([Uncaptured("c2", "gone")])
    found = crashes.desk.follow(listing.last, wait_s=1)
    assert [failure("c2"), Uncaptured("c2", "gone")] == [entry for _, entry in found]
    assert () == crashes.desk.follow(found[-1][0], wait_s=0)


async def test_only_the_newest_documents_are_kept(crashes: Crashes) -> None:
    for name in ("c1", "c2", "c3", "c4", "c5"):
        await crashes.log.captured(*packed(name))
    assert [False, False, True, True, True] == [
        crashes.desk.document(f"c{number}") is not None for number in range(1, 6)
    ]


async def test_a_document_and_the_log_have_an_end(crashes: Crashes) -> None:
    await crashes.log.failed([failure("c1")])
    await crashes.log.captured(*packed("c1"))
    crashes.let_time_pass(3599)
    assert crashes.desk.document("c1") is not None
    crashes.let_time_pass(2)
    # A server's own expiry is as exact as a millisecond.
    threading.Event().wait(0.01)
    assert crashes.desk.document("c1") is None


async def test_a_capture_without_its_failure_is_not_listed(crashes: Crashes) -> None:
    await crashes.log.captured(*packed("c1"))
    assert () == crashes.desk.crashes(limit=10).crashes


def test_an_id_that_could_not_be_one_has_no_document(crashes: Crashes) -> None:
    assert crashes.desk.document("../c1") is None


async def test_writing_nothing_is_nothing(crashes: Crashes) -> None:
    await crashes.log.failed([])
    assert () == crashes.desk.follow("", wait_s=0)


async def test_the_log_is_capped(crashes: Crashes) -> None:
    for first in range(0, 7000, 1000):
        await crashes.log.failed([failure(f"c{number}") for number in range(first, first + 1000)])
    place, entries = "", list[Failure]()
    while found := crashes.desk.follow(place, wait_s=0):
        place, entries = found[-1][0], [*entries, *(entry for _, entry in found if isinstance(entry, Failure))]
    assert 5000 <= len(entries) <= 5200
    assert "c6999" == entries[-1].id
