from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from fleet.crash import Capture, Uncaptured
from fleet.memory_crashes import MemoryCrashes
from stoker.crashes import PATIENCE_S, Following, print_crashes, tell
from tests.contracts.crashes import failure

if TYPE_CHECKING:
    from collections.abc import Callable


NOW = failure().at


@pytest.fixture
def store() -> MemoryCrashes:
    return MemoryCrashes(lambda: 100.0)


def fail(store: MemoryCrashes, *ids: str) -> None:
    asyncio.run(store.failed([failure(each) for each in ids]))


def steps(*acts: Callable[[], object]) -> Callable[[float], bool]:
    """A pause in which one thing after another happens; the last ends the following."""
    later = iter(acts)

    def pause(_: float) -> bool:
        act = next(later, None)
        if act is not None:
            act()
        return act is None

    return pause


def follow(store: MemoryCrashes, pause: Callable[[float], bool], now: Callable[[], float] = lambda: NOW) -> None:
    listing = store.crashes(limit=10)
    tell(store, Following(listing.crashes, as_json=True), listing.last, pause, now)


def told(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str, int]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(each["id"], each["profile"], each["like"]) for each in lines]


def test_the_newest_are_listed_oldest_first(store: MemoryCrashes, capsys: pytest.CaptureFixture[str]) -> None:
    fail(store, "one", "two", "three")

    print_crashes(store.crashes(limit=2), NOW, as_json=True)

    assert [("two", "waiting", 2), ("three", "waiting", 2)] == told(capsys)


def test_no_crashes_are_said_beside_the_output(store: MemoryCrashes, capsys: pytest.CaptureFixture[str]) -> None:
    print_crashes(store.crashes(limit=2), NOW, as_json=False)

    assert ("", "no crashes\n") == tuple(capsys.readouterr())


def test_a_crash_is_told_once_when_it_was_captured(store: MemoryCrashes, capsys: pytest.CaptureFixture[str]) -> None:
    captured = Capture("one", "KeyError", profiled=True)

    follow(store, steps(lambda: fail(store, "one"), lambda: asyncio.run(store.captured(captured, b""))))

    assert [("one", "profiled", 1)] == told(capsys)


def test_a_crash_of_which_nothing_comes_is_told_at_once(
    store: MemoryCrashes, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = [Uncaptured("one", "no token")]

    follow(store, steps(lambda: fail(store, "one"), lambda: asyncio.run(store.uncaptured(lost)), lambda: None))

    assert [("one", "none", 1)] == told(capsys)


def test_patience_ends(store: MemoryCrashes, capsys: pytest.CaptureFixture[str]) -> None:
    time = iter([0.0, PATIENCE_S - 0.1, PATIENCE_S, PATIENCE_S, PATIENCE_S])
    seen: list[int] = []

    def look() -> None:
        seen.append(len(told(capsys)))

    follow(store, steps(lambda: fail(store, "one"), look, look, look), lambda: next(time))

    assert [0, 0, 1] == seen


def test_a_crash_that_is_captured_late_is_told_again_and_counted_once(
    store: MemoryCrashes, capsys: pytest.CaptureFixture[str]
) -> None:
    captured = Capture("one", "KeyError", where="app.rb:1:in show", profiled=True)
    too_many = [Uncaptured("two", "too many crashes at once")]
    fail(store, "past", "one")

    follow(
        store,
        steps(
            lambda: fail(store, "two"),
            lambda: asyncio.run(store.captured(captured, b"")),
            lambda: asyncio.run(store.uncaptured(too_many)),
            lambda: asyncio.run(store.captured(Capture("two", "KeyError", where=captured.where), b"")),
        ),
    )

    assert [("one", "profiled", 1), ("two", "none", 2), ("two", "backtrace", 2)] == told(capsys)


def test_what_was_waited_for_is_told_at_the_end(store: MemoryCrashes, capsys: pytest.CaptureFixture[str]) -> None:
    follow(store, steps(lambda: fail(store, "one")))

    assert [("one", "waiting", 1)] == told(capsys)


def test_an_outage_while_following_is_said_once(store: MemoryCrashes, capsys: pytest.CaptureFixture[str]) -> None:
    def outage(reason: str | None) -> Callable[[], None]:
        return lambda: setattr(store, "outage", reason)

    follow(store, steps(outage("gone"), outage("gone"), outage(None), lambda: fail(store, "one")))

    said = capsys.readouterr()
    assert 1 == said.err.count("gone; waiting")
    assert 1 == len(said.out.splitlines())
