"""The history where its newest lines were lost and the clock went back, with real servers."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from fleet.registry import Happening
from fleet.store import history
from fleet.store.fields import happening_fields
from fleet.store.opening import open_desk

if TYPE_CHECKING:
    from fleet.settings import Settings
    from fleet.store.desk import RedisDesk

pytestmark = pytest.mark.live

OLD, LOST, NEW, LATER = (Happening(float(at), "fault", f"f{at}", "", "begins") for at in range(4))


def add(desk: RedisDesk, entry_id: str, one: Happening) -> None:
    desk.client.execute_command("XADD", desk.keys.events, entry_id, *happening_fields([one]))


def lose(desk: RedisDesk, first: str = "4000000001000-0", second: str = "4000000002000-0") -> str:
    """Have both told of and lost; returns the id to go on from."""
    add(desk, first, OLD)
    add(desk, second, LOST)
    assert (second, [OLD, LOST]) == told(desk, "")
    desk.client.delete(desk.keys.events)
    return second


def told(desk: RedisDesk, seen: str) -> tuple[str, list[Happening]]:
    """What comes after that id, and the id to go on from."""
    found = desk.history(seen, wait_s=0)
    return found[-1][0] if found else seen, [one for _, one in found]


@pytest.mark.parametrize("old", [[OLD], []], ids=["old data", "none"])
def test_who_reads_on_misses_nothing_and_reads_nothing_twice_where_ids_begin_again(
    desk: RedisDesk, old: list[Happening]
) -> None:
    seen = lose(desk)
    for one in old:
        add(desk, "4000000001000-0", one)
    assert (seen, []) == told(desk, seen)
    add(desk, "4000000001000-1", NEW)  # the clock went back, so ids follow the last that was kept
    seen, happened = told(desk, seen)
    assert ("4000000001000-1", [NEW]) == (seen, happened)
    add(desk, "4000000001000-2", LATER)
    assert ("4000000001000-2", [LATER]) == told(desk, seen)


def test_an_id_that_was_lost_and_given_again_is_another_entry(desk: RedisDesk) -> None:
    seen = lose(desk)
    add(desk, "4000000001000-0", NEW)
    assert ("4000000001000-0", [NEW]) == told(desk, seen)


def test_who_begins_at_a_time_reads_nothing_from_before(desk: RedisDesk) -> None:
    add(desk, "4000000001000-0", OLD)
    assert ("4000000002000-0", []) == told(desk, "4000000002000-0")
    told(desk, "")
    assert ("4000000002000-0", []) == told(desk, "4000000002000-0")


def test_who_goes_on_from_an_earlier_life_reads_nothing_twice(desk: RedisDesk, store_settings: Settings) -> None:
    add(desk, "4000000001000-0", OLD)
    add(desk, "4000000002000-0", LOST)
    with closing(open_desk(store_settings)) as later:
        assert ("4000000002000-0", []) == told(later, "4000000002000-0")
        desk.client.execute_command("XDEL", desk.keys.events, "4000000002000-0")
        assert ("4000000002000-0", []) == told(later, "4000000002000-0")
        desk.client.delete(desk.keys.events)
        add(desk, "4000000001000-0", OLD)
        add(desk, "4000000001000-1", NEW)
        assert ("4000000001000-1", [NEW]) == told(later, "4000000002000-0")


def test_who_begins_in_an_emptied_history_before_its_place_reads_all_that_is_new(desk: RedisDesk) -> None:
    seen = "4000000002000-0"
    assert (seen, []) == told(desk, seen)
    add(desk, "4000000001000-0", NEW)
    assert ("4000000001000-0", [NEW]) == told(desk, seen)
    add(desk, "4000000001000-1", LATER)
    assert ("4000000001000-1", [LATER]) == told(desk, "4000000001000-0")


@pytest.mark.parametrize(("entry_id", "news"), [("1500-0", [NEW]), ("500-0", [])], ids=["new", "of an older copy"])
def test_where_the_clock_is_right_again_only_what_comes_between_others_that_were_told_is_new(
    desk: RedisDesk, entry_id: str, news: list[Happening]
) -> None:
    seen = lose(desk, "1000-0", "2000-0")
    add(desk, entry_id, NEW)
    assert (entry_id if news else seen, news) == told(desk, seen)


def test_what_was_told_is_known_no_longer_than_it_can_come_again(
    desk: RedisDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "KNOWN", 2)
    for at, one in enumerate((OLD, LOST, NEW)):
        add(desk, f"{at + 1}-0", one)
    assert [OLD, LOST, NEW] == told(desk, "")[1]
    assert ["2-0", "3-0"] == list(desk._history._told)
