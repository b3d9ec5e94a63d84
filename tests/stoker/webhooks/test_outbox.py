from __future__ import annotations

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from fleet.delivery import Place
from fleet.registry import entry_order
from stoker.webhooks.outbox import CRASH_GATHERS_S, LIMIT, Outbox
from tests.stoker.webhooks.builders import news


def outbox() -> Outbox:
    return Outbox(Place("0-0", "0-0"), every_s=60.0)


def test_news_is_sent_at_once() -> None:
    box = outbox()
    box.take("events", "1-0", news("at-max", "begins"), 0.0)
    box.ripen(0.0)
    assert [("1-0", 1)] == [(letter.entry, letter.count) for letter in box.waiting]


def test_a_storm_of_crashes_is_one_message_a_minute_with_a_count() -> None:
    box, sent = outbox(), list[tuple[float, int]]()
    for second in range(130):
        for number in range(50):
            box.take("crashes", f"{second + 1}-{number}", news(at=float(second)), float(second))
        box.ripen(float(second))
        while box.waiting:
            letter = box.waiting.popleft()
            sent.append((float(second), letter.count))
    assert [(CRASH_GATHERS_S, 150), (62.0, 3000), (122.0, 3000)] == sent


def test_a_beginning_and_its_end_are_two_kinds() -> None:
    box = outbox()
    for entry, state in (("1-0", "begins"), ("2-0", "over"), ("3-0", "begins")):
        box.take("events", entry, news("no-data", state), 0.0)
    box.ripen(0.0)
    assert [("begins", 2), ("over", 1)] == [(letter.news.state, letter.count) for letter in box.waiting]


def test_the_exception_of_a_crash_is_named_while_its_message_waits() -> None:
    box = outbox()
    box.take("crashes", "1-0", news(text="a GET answered 500", about="c1"), 0.0)
    box.name("c2", "KeyError")
    box.name("c1", "NoMethodError")
    box.name("c1", "NoMethodError")
    box.ripen(CRASH_GATHERS_S)
    assert "NoMethodError: a GET answered 500" == box.waiting[0].news.text


def test_what_waits_is_not_settled_and_what_is_not_worth_a_message_is() -> None:
    box = outbox()
    box.take("events", "1-0", None, 0.0)
    assert Place("1-0", "0-0") == box.settled
    box.take("events", "2-0", news("at-max", "begins"), 0.0)
    box.take("events", "3-0", None, 0.0)
    box.take("crashes", "4-0", news(), 0.0)
    assert Place("1-0", "0-0") == box.settled
    box.ripen(0.0)
    assert Place("1-0", "0-0") == box.settled
    box.waiting.popleft()
    assert Place("3-0", "0-0") == box.settled


def test_few_wait_and_the_oldest_are_given_up() -> None:
    box = outbox()
    for number in range(LIMIT + 5):
        box.take("events", f"{number + 1}-0", news(f"kind{number}"), 0.0)
    box.ripen(0.0)
    assert (LIMIT, 5, "6-0") == (len(box.waiting), box.dropped, box.waiting[0].entry)
    assert "5-0" == box.settled.events


Step = tuple[Literal["events", "crashes"], int, float, bool]


@given(
    st.lists(
        st.tuples(st.sampled_from(["events", "crashes"]), st.integers(0, 3), st.floats(0, 50), st.booleans()),
        max_size=60,
    )
)
def test_a_restart_at_the_settled_place_loses_nothing(steps: list[Step]) -> None:
    """Every entry that is worth a message lies after the settled place, unless its message was sent."""
    box, now, entry = outbox(), 0.0, 0
    told: dict[str, set[str]] = {"events": set(), "crashes": set()}
    for stream, kind, wait_s, deliver in steps:
        now, entry = now + wait_s, entry + 1
        box.take(stream, f"{entry}-0", news(f"k{kind}") if kind else None, now)
        if kind:
            told[stream].add(f"{entry}-0")
        box.ripen(now)
        if deliver and box.waiting:
            letter = box.waiting.popleft()
            told[letter.stream].discard(letter.entry)
    firsts = {letter.entry for letter in box._open()}
    for name, waiting in told.items():
        settled = entry_order(getattr(box.settled, name))
        assert all(entry_order(one) > settled for one in waiting & firsts)
        assert settled <= entry_order(getattr(box.read, name))
