from __future__ import annotations

import io

from rich.console import Console, RenderableType

from fleet.registry import Happening
from stoker.demo.client import Kind
from stoker.demo.load import Ended
from stoker.demo.record import Record, Sample, Shape, judge
from stoker.demo.screen import last_screen, line, picture

CONTENT = {
    "state": "UP",
    "desired": 3,
    "serving": 2,
    "rps": 39.5,
    "in_flight": 4,
    "backends": [
        {"name": "shop1", "phase": "serving", "in_flight": 3},
        {"name": "shop3", "phase": "warming", "in_flight": 0},
    ],
}
SAMPLE = Sample(8.0, CONTENT, 40.0, 120, 1, 0.25)
RECORD = Record(Shape(40.0), 0.0, [SAMPLE], [Happening(7.0, "decision", "shop", "1", "3", ("39.5 rps at target 10",))])


def drawn(what: RenderableType, width: int = 90) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(what)
    return capture.get()


def test_the_picture_shows_the_numbers_the_instances_and_the_reasons() -> None:
    text = drawn(picture(RECORD, "process instances", 8, 90))
    for words in (
        "UP",
        "40/s",
        "39.5",
        "250 ms",
        "● shop1 3",
        "◐ shop3 warming",
        "1 -> 3  (39.5 rps at target 10)",
        "8 of 40 s",
    ):
        assert words in text


def test_the_picture_never_leaves_its_width() -> None:
    long = Happening(7.0, "fault", "shop3", "", "failed", ("x" * 300,))
    text = drawn(picture(Record(Shape(40.0), 0.0, [SAMPLE], [long]), "process instances", 8, 90))
    assert {90} == {len(row) for row in text.splitlines()}


def test_a_plain_line_holds_the_same_numbers() -> None:
    assert line(SAMPLE) == (
        "  8.0 s  UP     load  40/s  rps 39.5  desired  3  serving  2  in flight   4  p95  250 ms  sent   120  failed 1"
    )


def test_an_unknown_number_is_a_dash_on_a_plain_line() -> None:
    nothing = {**CONTENT, "state": None, "rps": None, "serving": None}
    assert "-      load  40/s  rps    -" in line(Sample(8.0, nothing, 40.0, 0, 0, None))


def test_the_last_screen_says_what_came_of_it_and_why_it_failed() -> None:
    verdict = judge(RECORD, [Ended(Kind.NEW, 0.0, 0.1, "shop1"), Ended(Kind.NEW, 0.0, 0.1, fault="reset")], {})
    text = drawn(last_screen(RECORD, verdict, 8, 90))
    for words in (
        "did not follow",
        "2 sent, 1 failed",
        "1 x reset",
        "2 at the end",
        "decided after 2.2 s",
        "after never",
    ):
        assert words in text
