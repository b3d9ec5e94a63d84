"""Reading on in a history whose newest part was lost, with real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleet.registry import Happening
from fleet.store.fields import happening_fields

if TYPE_CHECKING:
    from fleet.store.desk import RedisDesk

pytestmark = pytest.mark.live

OLD, LOST, NEW, LATER = (Happening(float(at), "fault", f"f{at}", "", "begins") for at in range(4))


def add(desk: RedisDesk, entry_id: str, one: Happening) -> None:
    desk.client.execute_command("XADD", desk.keys.events, entry_id, *happening_fields([one]))


def told(desk: RedisDesk, seen: str) -> tuple[str, list[Happening]]:
    """What comes after that id, and the id to go on from."""
    found = desk.history(seen, wait_s=0)
    return found[-1][0] if found else seen, [one for _, one in found]


@pytest.mark.parametrize("old", [[OLD], []], ids=["old data", "none"])
def test_who_reads_on_misses_nothing_and_reads_nothing_twice_where_ids_begin_again(
    desk: RedisDesk, old: list[Happening]
) -> None:
    add(desk, "1000-0", OLD)
    add(desk, "2000-0", LOST)
    seen, happened = told(desk, "")
    assert [OLD, LOST] == happened
    desk.client.delete(desk.keys.events)
    for one in old:
        add(desk, "1000-0", one)
    assert (seen, []) == told(desk, seen)
    add(desk, "1000-1", NEW)  # the clock went back, so ids follow the last that was kept
    seen, happened = told(desk, seen)
    assert ("1000-1", [NEW]) == (seen, happened)
    add(desk, "1000-2", LATER)
    assert ("1000-2", [LATER]) == told(desk, seen)


def test_an_id_that_was_lost_and_given_again_is_another_entry(desk: RedisDesk) -> None:
    add(desk, "1000-0", OLD)
    add(desk, "2000-0", LOST)
    seen, _ = told(desk, "")
    desk.client.delete(desk.keys.events)
    add(desk, "1000-0", NEW)
    assert ("1000-0", [NEW]) == told(desk, seen)


def test_who_begins_at_a_time_reads_nothing_from_before(desk: RedisDesk) -> None:
    add(desk, "1000-0", OLD)
    assert ("2000-0", []) == told(desk, "2000-0")
    told(desk, "")
    assert ("2000-0", []) == told(desk, "2000-0")
