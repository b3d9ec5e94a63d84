"""What of the fleet's history and of its crashes is worth a message: pure, and with nothing in it that is private."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fleet.crash import Capture, Failure, Symptom
from fleet.log import HIDDEN, URL_CREDENTIALS

if TYPE_CHECKING:
    from fleet.crash import Entry
    from fleet.registry import Happening

Stream = Literal["events", "crashes"]

# Of a text so much is sent.
TEXT_LIMIT = 400
SUBJECT_LIMIT = 128
# What an app wrote to its log may hold anything; it stays in the history.
LOG_BEGINS = "; last log lines"
FAULTS = frozenset({"at-max", "no-data", "no-host", "proxy-missing", "widespread-failure"})
DEPLOYS = {"done": "deploy-done", "failed": "deploy-failed", "undone": "deploy-failed"}


@dataclass(frozen=True, slots=True)
class News:
    """One thing to tell. `state` is "begins" or "over" for what lasts, else "". `about` is a crash's id."""

    kind: str
    subject: str
    state: str
    text: str
    at: float
    about: str = ""


def of_happening(happening: Happening) -> News | None:
    """The news in one line of the history, None where it is none."""
    kind, state = _kind(happening)
    if not kind:
        return None
    return News(kind, plain(happening.subject, SUBJECT_LIMIT), state, _reasons(happening), happening.at)


def _kind(happening: Happening) -> tuple[str, str]:
    match happening.kind:
        case "fault" if happening.subject in FAULTS and happening.after in {"begins", "over"}:
            return happening.subject, happening.after
        case "instance" if happening.after == "failed":
            return "start-failed", ""
        case "deploy":
            return DEPLOYS.get(happening.after, ""), ""
        case "canary" if happening.after in {"cut", "failed", "undone"}:
            return "canary-cut", ""
        case _:
            return "", ""


def _reasons(happening: Happening) -> str:
    return plain("; ".join(reason.partition(LOG_BEGINS)[0] for reason in happening.reasons), TEXT_LIMIT)


def of_crash(entry: Entry) -> News | None:
    """The news of a request that failed. Neither its path nor a message: both may hold what is private."""
    if not isinstance(entry, Failure) or entry.failure is Symptom.SLOW:
        return None
    how = f"answered {entry.status}" if entry.status else f"ended without an answer ({entry.failure})"
    text = f"a {entry.method} {how}; stoker crashes show {entry.id}"
    return News("crash", plain(entry.backend, SUBJECT_LIMIT), "", plain(text, TEXT_LIMIT), entry.at, entry.id)


def exception_of(entry: Entry) -> tuple[str, str]:
    """A crash's id and the class of its exception, as the app told it; "" where this entry tells none."""
    return (entry.id, plain(entry.exception, SUBJECT_LIMIT)) if isinstance(entry, Capture) else ("", "")


def plain(text: str, limit: int) -> str:
    """One printable line of at most so many characters, without passwords in urls."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    line = URL_CREDENTIALS.sub(HIDDEN, line)
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def payload(fleet: str, app: str, identity: str, news: News, count: int, last_at: float) -> dict[str, Any]:
    """The message as JSON: what docs/webhooks.md describes."""
    return {
        "id": identity,
        "fleet": fleet,
        "app": app,
        "kind": news.kind,
        "state": news.state,
        "subject": news.subject,
        "text": news.text,
        "at": news.at,
        "count": count,
        "last_at": last_at,
    }
