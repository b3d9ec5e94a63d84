from __future__ import annotations

from fleet.delivery import Place
from fleet.registry import entry_order


def test_entries_are_compared_as_numbers() -> None:
    assert ["", "9-1", "10-1", "10-9", "10-10"] == sorted(["10-10", "10-9", "", "9-1", "10-1"], key=entry_order)


def test_the_later_of_two_places_is_taken_stream_by_stream() -> None:
    assert Place("10-0", "7-1") == Place("9-5", "7-1").later(Place("10-0", ""))
