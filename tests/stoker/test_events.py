from __future__ import annotations

import json

import pytest

from fleet.memory import MemoryStore
from fleet.registry import Happening, Lease
from stoker.events import print_events


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(lambda: 100.0)


def record(store: MemoryStore, *counts: int) -> None:
    lease = store.acquire("one") or Lease("one", 0, 4.0)
    store.record(lease, [Happening(1.0, "decision", "shop", str(count - 1), str(count)) for count in counts])
    store.release(lease)


def test_the_last_of_the_past_come_oldest_first(store: MemoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    record(store, 1, 2, 3)
    print_events(store, as_json=True, follow=False, last=2, pause=lambda _: True)
    assert ["2", "3"] == [json.loads(line)["to"] for line in capsys.readouterr().out.splitlines()]


def test_none_of_the_past_is_shown_where_none_is_wanted(store: MemoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    record(store, 1)
    print_events(store, as_json=False, follow=False, last=0, pause=lambda _: True)
    assert capsys.readouterr().out == ""


def test_following_shows_what_comes_once_each(store: MemoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    later = iter([1, 2, None])

    def pause(_: float) -> bool:
        count = next(later)
        if count is not None:
            record(store, count)
        return count is None

    print_events(store, as_json=True, follow=True, last=50, pause=pause)
    assert ["1", "2"] == [json.loads(line)["to"] for line in capsys.readouterr().out.splitlines()]


def test_an_outage_while_following_is_said_once(store: MemoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    outages = iter(["gone", "gone", None])

    def pause(_: float) -> bool:
        store.outage = next(outages)
        return store.outage is None

    print_events(store, as_json=True, follow=True, last=50, pause=pause)
    assert capsys.readouterr().err == "stoker: store in memory: gone; waiting\n"
