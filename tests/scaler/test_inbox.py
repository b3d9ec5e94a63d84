"""What reaches the loop from other threads, and what is not worth telling it."""

from __future__ import annotations

import pytest

from scaler.inbox import Ending, Inbox, Wake
from scaler.messages import Outcome, Probed, Stopped


@pytest.fixture
def inbox() -> Inbox:
    return Inbox(lambda: 5.0)


def taken(inbox: Inbox) -> list[object]:
    items: list[object] = []
    while (item := inbox.take(0.0)) is not None:
        items.append(item)
    return items


def test_things_come_out_in_their_order(inbox: Inbox) -> None:
    inbox.wake()
    inbox.answer(Stopped(4.0, "web1"))
    inbox.end(Ending.LEAVE)
    assert [Wake.NOW, Stopped(4.0, "web1"), Ending.LEAVE] == taken(inbox)


def test_a_good_probe_after_a_good_one_is_not_told(inbox: Inbox) -> None:
    for _ in range(3):
        inbox.probed("web1", Outcome.READY, "")
    assert [Probed(5.0, "web1", Outcome.READY, "")] == taken(inbox)


def test_every_bad_probe_is_told_and_the_good_one_after_it(inbox: Inbox) -> None:
    for outcome in (Outcome.READY, Outcome.BAD, Outcome.BAD, Outcome.READY, Outcome.READY):
        inbox.probed("web1", outcome, "")
    assert ["ready", "bad answer", "bad answer", "ready"] == [
        item.outcome for item in taken(inbox) if isinstance(item, Probed)
    ]


def test_each_instance_has_its_own_news(inbox: Inbox) -> None:
    inbox.probed("web1", Outcome.READY, "")
    inbox.probed("web2", Outcome.READY, "")
    assert 2 == len(taken(inbox))


def test_a_new_pace_makes_a_good_probe_news_again(inbox: Inbox) -> None:
    inbox.watching((("web1", "u", 0.1), ("web2", "u", 0.1)))
    inbox.probed("web1", Outcome.READY, "")
    inbox.probed("web2", Outcome.READY, "")
    inbox.watching((("web1", "u", 10.0), ("web2", "u", 0.1)))
    inbox.probed("web1", Outcome.READY, "")
    inbox.probed("web2", Outcome.READY, "")
    assert ["web1", "web2", "web1"] == [item.name for item in taken(inbox) if isinstance(item, Probed)]


def test_what_is_watched_no_longer_is_forgotten(inbox: Inbox) -> None:
    inbox.watching((("web1", "u", 0.1),))
    inbox.probed("web1", Outcome.READY, "")
    inbox.watching(())
    inbox.watching((("web1", "u", 0.1),))
    inbox.probed("web1", Outcome.READY, "")
    assert 2 == len(taken(inbox))
