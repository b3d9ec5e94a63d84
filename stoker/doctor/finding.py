"""What a check found: a grade, one line, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"  # works, and may bite later
    WRONG = "wrong"
    SKIPPED = "skipped"  # there is nothing to check


@dataclass(frozen=True, slots=True)
class Finding:
    """`subject` is what was looked at; `remedy` says what to do, "" where there is nothing to."""

    subject: str
    grade: Grade
    text: str
    remedy: str = ""


def ok(subject: str, text: str) -> Finding:
    """All is well."""
    return Finding(subject, Grade.OK, text)


def note(subject: str, text: str, remedy: str) -> Finding:
    """It works, and may bite later."""
    return Finding(subject, Grade.NOTE, text, remedy)


def wrong(subject: str, text: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(subject, Grade.WRONG, text, remedy)


def skipped(subject: str, text: str) -> Finding:
    """There is nothing to check."""
    return Finding(subject, Grade.SKIPPED, text)
