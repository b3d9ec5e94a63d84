from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from addon.counter import Token
from addon.hold import Hold, Verdict

if TYPE_CHECKING:
    import pytest


class Scene:
    """A queue, how many backends there are, and the order in which requests went."""

    def __init__(self, *, limit: int = 10, hold_s: float = 60.0, step: int = 1) -> None:
        self.available = 0
        self.noticed = 0
        self.went: list[str] = []
        self.hold = Hold(limit=limit, hold_s=hold_s, step=step, available=lambda: self.available, noticed=self._notice)

    async def wait(self, name: str) -> tuple[Token, Verdict]:
        token = Token(name, monotonic())
        verdict = await self.hold.wait(token)
        if verdict is Verdict.RELEASED:
            self.went.append(name)
        return token, verdict

    def _notice(self) -> None:
        self.noticed += 1


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_requests_go_in_order_one_step_at_a_time() -> None:
    scene = Scene(step=2)
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(scene.wait(name)) for name in "abcde"]
        await settled()
        scene.available = 1
        scene.hold.release()
        await settled()
        assert scene.went == ["a", "b"]
        scene.hold.answered((await waiting[0])[0])
        await settled()
        assert scene.went == ["a", "b", "c"]
        scene.available = 2
        scene.hold.release()
        await settled()
        assert scene.went == ["a", "b", "c", "d", "e"]


async def test_a_step_ends_by_time_where_nothing_answers() -> None:
    scene = Scene()
    scene.available = 1
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(scene.wait(name))
    assert scene.went == ["a", "b", "c"]


async def test_slow_answers_keep_no_queue_though_more_come_than_a_step_lets_go(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = asyncio.get_running_loop().time()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now_s)
    scene, longest = Scene(limit=1000, hold_s=1000), list[int]()
    async with asyncio.TaskGroup() as group:
        for quarter in range(40):
            if quarter == 4:
                scene.available = 1
                scene.hold.release()
            if quarter < 30:
                for at in range(20):
                    group.create_task(scene.wait(f"{20 * quarter + at}"))
            await settled()
            longest.append(len(scene.hold))
            now_s += 0.25
        assert longest[-1] == 0
        assert max(longest) < 20 * 20
    assert scene.went == [str(number) for number in range(600)]


async def test_a_queue_that_was_empty_begins_with_one_step_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = asyncio.get_running_loop().time()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now_s)
    scene = Scene(hold_s=1000)
    async with asyncio.TaskGroup() as group:
        for began in (False, True):
            for name in "abcdefgh":
                group.create_task(scene.wait(name))
            await settled()
            assert len(scene.hold) == 8 - began
            scene.available = 1
            for left in (7, 6, 5, 4, 2, 0):
                scene.hold.release()
                await settled()
                assert len(scene.hold) == left
                now_s += 0.25
            await settled()


async def test_a_queue_that_nobody_could_take_for_a_while_begins_with_one_step_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = asyncio.get_running_loop().time()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now_s)
    scene = Scene(hold_s=1000)
    async with asyncio.TaskGroup() as group:
        for name in "abcdefgh":
            group.create_task(scene.wait(name))
        await settled()
        for left in (7, 6):
            scene.available = 1
            scene.hold.release()
            assert len(scene.hold) == left
            scene.available = 0
            now_s += 5
            scene.hold.release()
            await settled()
        scene.hold.close()


async def test_only_the_first_is_noticed_until_the_queue_was_empty_again() -> None:
    scene = Scene()
    async with asyncio.TaskGroup() as group:
        for name in "ab":
            group.create_task(scene.wait(name))
        await settled()
        assert scene.noticed == 1
        scene.hold.close()
    scene.hold.open = True
    async with asyncio.TaskGroup() as group:
        group.create_task(scene.wait("c"))
        await settled()
        assert scene.noticed == 2
        scene.hold.close()


async def test_one_beyond_the_limit_is_refused_at_once() -> None:
    scene = Scene(limit=1)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(scene.wait("a"))
        await settled()
        assert (await scene.wait("b"))[1] is Verdict.REFUSED
        assert len(scene.hold) == 1
        scene.hold.close()
    assert first.result()[1] is Verdict.REFUSED


async def test_a_limit_of_zero_holds_nothing() -> None:
    assert (await Scene(limit=0).wait("a"))[1] is Verdict.REFUSED


async def test_waiting_ends_at_the_limit_counted_from_the_arrival() -> None:
    scene = Scene(hold_s=0.01)
    assert (await scene.wait("a"))[1] is Verdict.REFUSED
    assert len(scene.hold) == 0


async def test_what_a_client_waited_for_is_dropped_with_it() -> None:
    scene = Scene()
    async with asyncio.TaskGroup() as group:
        left, stays = (group.create_task(scene.wait(name)) for name in "ab")
        await settled()
        scene.hold.abandon("a")
        await settled()
        assert len(scene.hold) == 1
        scene.available = 1
        scene.hold.release()
    assert (left.result()[1], stays.result()[1]) == (Verdict.GONE, Verdict.RELEASED)


async def test_a_cancelled_request_leaves_the_queue() -> None:
    scene = Scene()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(scene.wait("a"))
        await settled()
        waiting.cancel()
    assert len(scene.hold) == 0
