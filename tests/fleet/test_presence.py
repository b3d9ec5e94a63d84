from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from addon.plane import Plane
from fleet import presence
from fleet.errors import StoreUnavailableError
from fleet.presence import Presence, end
from fleet.registry import ProxyReading, Snapshot
from fleet.settings import load
from fleet.snapshot_file import SnapshotFile
from tests.addon.snapshots import snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATIENCE_S = 20.0


@dataclass
class Board:
    """A noticeboard that writes down what it was asked, in order."""

    stored: Snapshot | None = None
    outage: str = ""
    asked: list[str] = field(default_factory=list)
    readings: list[ProxyReading] = field(default_factory=list)
    reported: asyncio.Event = field(default_factory=asyncio.Event)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    told: asyncio.Queue[int] = field(default_factory=asyncio.Queue)

    async def snapshot(self) -> Snapshot | None:
        self._reach("snapshot")
        return self.stored

    async def report(self, reading: ProxyReading) -> None:
        self._reach("report")
        self.readings.append(reading)
        self.reported.set()

    async def wake(self) -> None:
        self._reach("wake")
        self.woken.set()

    async def leave(self, proxy: str) -> None:
        self._reach(f"leave {proxy}")

    async def changes(self) -> AsyncIterator[int]:
        self._reach("changes")
        while True:
            yield await self.told.get()

    def _reach(self, what: str) -> None:
        if self.outage:
            raise StoreUnavailableError(self.outage)
        self.asked.append(what)

    async def until(self, generation: int) -> ProxyReading:
        async with asyncio.timeout(PATIENCE_S):
            while not self.readings or self.readings[-1].generation != generation:
                self.reported.clear()
                await self.reported.wait()
        return self.readings[-1]


@dataclass
class Scene:
    board: Board
    plane: Plane
    file: SnapshotFile
    said: list[str] = field(default_factory=list)
    presence: Presence = field(init=False)

    def __post_init__(self) -> None:
        self.presence = Presence(self.plane, self.board, self.file, self.said.append)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self.presence.run())
        try:
            yield
        finally:
            await end([task], every_s=0.1)


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    settings = load(None, fleet="test", app="a")
    file = SnapshotFile(tmp_path / "s.json", "test", "a", settings.networks)
    return Scene(Board(), Plane(settings, "proxy"), file)


async def test_a_proxy_shows_itself_before_it_reads_its_first_snapshot(scene: Scene) -> None:
    scene.board.stored = snapshot(7, a1=1)
    async with scene.running():
        await scene.board.until(7)
    assert ["report", "snapshot", "report"] == [each for each in scene.board.asked if each != "changes"][:3]
    assert 0 == scene.board.readings[0].generation
    assert scene.file.read() == snapshot(7, a1=1)


async def test_a_published_change_is_applied_and_reported_at_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing comes by the clock.
    monkeypatch.setattr(presence, "REPORT_S", 3600.0)
    monkeypatch.setattr(presence, "POLL_S", 3600.0)
    scene.board.stored = snapshot(7, a1=1)
    async with scene.running():
        await scene.board.until(7)
        scene.board.stored = snapshot(8, a1=1, a2=2)
        scene.board.told.put_nowait(8)
        reading = await scene.board.until(8)
        assert {"a1", "a2"} == set(reading.backends or {})


async def test_no_data_and_older_generations_change_nothing(scene: Scene) -> None:
    scene.board.stored = snapshot(7, a1=1)
    async with scene.running():
        await scene.board.until(7)
        for stored in (None, snapshot(6)):
            scene.board.stored = stored
            asked = scene.board.asked.count("snapshot")
            scene.board.told.put_nowait(6)
            async with asyncio.timeout(PATIENCE_S):
                while scene.board.asked.count("snapshot") == asked:
                    scene.board.reported.clear()
                    await scene.board.reported.wait()
        assert (scene.plane.roster.generation, scene.plane.roster.available) == (7, 1)
    assert ["generation 6 in Redis is older than 7, which stays"] == scene.said


async def test_the_file_is_the_start_while_redis_is_away_and_redis_wins_afterwards(scene: Scene) -> None:
    scene.file.write(snapshot(900, a1=1))
    scene.board.outage = "Redis at x: unreachable"
    async with scene.running():
        async with asyncio.timeout(PATIENCE_S):
            await scene.plane.news.wait()
        assert (scene.plane.roster.generation, scene.plane.roster.available) == (900, 1)
        scene.board.stored, scene.board.outage = snapshot(7, a2=2), ""
        await scene.board.until(7)
        assert ["a2"] == [upstream.name for upstream in scene.plane.roster.upstreams]
    assert [line for line in scene.said if "Redis" in line] == [
        "Redis at x: unreachable; going on with generation 0",
        "Redis answers again",
    ]


async def test_what_is_held_is_reported_before_the_scaler_is_woken(scene: Scene) -> None:
    scene.board.stored = Snapshot(7, {})
    async with scene.running():
        await scene.board.until(7)
        waiting = asyncio.ensure_future(scene.plane.wait(scene.plane.arrive("client")))
        async with asyncio.timeout(PATIENCE_S):
            await scene.board.woken.wait()
        assert 1 == scene.board.readings[-1].held
        assert ["report", "wake"] == scene.board.asked[-2:]
        scene.plane.hold.close()
        await waiting


async def test_a_file_of_garbage_is_said_and_left(scene: Scene) -> None:
    scene.file.path.write_text("garbage")
    scene.board.outage = "away"
    said = asyncio.Event()

    def say(line: str) -> None:
        if "not JSON" in line:
            said.set()

    scene.presence = Presence(scene.plane, scene.board, scene.file, say)
    async with scene.running(), asyncio.timeout(PATIENCE_S):
        await said.wait()
    assert scene.plane.generation == 0


async def test_leaving_takes_the_traces_away_and_is_not_stopped_by_an_outage(scene: Scene) -> None:
    await scene.presence.leave()
    assert ["leave proxy"] == scene.board.asked
    scene.board.outage = "away"
    await scene.presence.leave()
    assert ["could not say that this proxy ended: away"] == scene.said


async def test_a_task_that_swallows_its_cancellation_is_cancelled_again() -> None:
    async def stubborn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    task = asyncio.ensure_future(stubborn())
    await asyncio.sleep(0)
    await end([task], every_s=0.01)
    assert task.cancelled()
