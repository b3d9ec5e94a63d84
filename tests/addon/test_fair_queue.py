from __future__ import annotations

import pytest

from addon.fair_queue import FairQueue


def test_groups_take_turns() -> None:
    queue = FairQueue[str](10)
    for group, item in (("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1")):
        assert queue.put(group, item) is None
    assert ["a1", "b1", "c1", "a2", "a3"] == [queue.get() for _ in range(len(queue))]
    with pytest.raises(KeyError):
        queue.get()


def test_the_largest_group_gives_way_and_the_newest_of_it_goes() -> None:
    queue = FairQueue[str](3)
    for number in (1, 2, 3):
        queue.put("a", f"a{number}")
    assert "a4" == queue.put("a", "a4")
    assert "a3" == queue.put("b", "b1")
    assert "b2" == queue.put("b", "b2")
    assert 3 == len(queue)
    assert ["a1", "b1", "a2"] == [queue.get() for _ in range(3)]
