from __future__ import annotations

import pytest

from fleet.crash import Capture, Symptom, Uncaptured
from fleet.registry import Happening
from stoker.webhooks.news import TEXT_LIMIT, News, exception_of, of_crash, of_happening, payload, plain
from tests.stoker.webhooks.builders import failure, fault, news


@pytest.mark.parametrize("subject", ["at-max", "no-data", "no-host", "proxy-missing", "widespread-failure"])
def test_a_standing_fault_is_told_when_it_begins_and_when_it_is_over(subject: str) -> None:
    assert News(subject, subject, "begins", "why", 3.0) == of_happening(fault(subject, "begins", "why"))
    assert News(subject, subject, "over", "", 3.0) == of_happening(fault(subject, "over"))


def test_a_failed_start_is_told_without_what_the_app_logged() -> None:
    reason = "exit code 1; last log lines: connecting to postgres://app:hunter2@db | KeyError: 'SECRET'"
    told = of_happening(Happening(3.0, "instance", "web7", "starting", "failed", (reason,)))
    assert News("start-failed", "web7", "", "exit code 1", 3.0) == told


@pytest.mark.parametrize(
    ("kind", "after", "expected"),
    [
        ("deploy", "done", "deploy-done"),
        ("deploy", "failed", "deploy-failed"),
        ("canary", "cut", "canary-cut"),
        ("deploy", "asked", None),
        ("canary", "begins", None),
        ("instance", "serving", None),
        ("decision", "5", None),
        ("fault", "begins", None),
    ],
)
def test_of_all_else_only_what_needs_a_look_is_told(kind: str, after: str, expected: str | None) -> None:
    told = of_happening(Happening(1.0, kind, "shop:2", "", after))
    assert expected == (told.kind if told else None)


def test_a_crash_is_told_without_its_path() -> None:
    told = of_crash(failure())
    assert News("crash", "web1", "", "a GET answered 500; stoker crashes show c1", 5.0, "c1") == told


def test_a_request_without_an_answer_says_how_it_ended() -> None:
    told = of_crash(failure(status=None, failure=Symptom.ABORTED))
    assert told is not None
    assert "a GET ended without an answer (aborted); stoker crashes show c1" == told.text


@pytest.mark.parametrize("entry", [failure(failure=Symptom.SLOW), Capture("c1", "E"), Uncaptured("c1", "no")])
def test_what_is_no_failure_is_no_news(entry: object) -> None:
    assert None is of_crash(entry)  # type: ignore[arg-type]


def test_of_a_capture_the_exceptions_class_is_known_but_never_its_message() -> None:
    assert ("c1", "NoMethodError") == exception_of(Capture("c1", "NoMethodError", "secret"))
    assert ("", "") == exception_of(failure())


def test_a_text_is_one_printable_line_that_ends() -> None:
    hostile = "a\r\n\x00\x1b[31m\u202eb " + "x" * 5000
    line = plain(hostile, TEXT_LIMIT)
    assert (True, TEXT_LIMIT, "...") == (line.isprintable(), len(line), line[-3:])
    assert "at redis://***@db/0" == plain("at redis://app:hunter2@db/0", 100)


def test_a_message_holds_what_the_documentation_says() -> None:
    assert {
        "id": "i",
        "fleet": "f",
        "app": "a",
        "kind": "at-max",
        "state": "begins",
        "subject": "web1",
        "text": "t",
        "at": 1.0,
        "count": 3,
        "last_at": 9.0,
    } == payload("f", "a", "i", news("at-max", "begins"), 3, 9.0)
