"""Crashes as text and as JSON: pure, so that a terminal and a script are shown the same facts."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fleet.crash import Symptom
from fleet.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleet.crash import Crash

ID_CHARS = 8
REQUEST_CHARS = 36
EXCEPTION_CHARS = 100
WAITING = "waiting"
# Of an older crash nothing comes any more; clocks of proxies may differ by a little.
GIVEN_UP_S = 30.0
UNITS_S = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
SPAN = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(s|m|min|h|d)")
HEAD = ("TIME", "ID", "REQUEST", "PROFILE", "LIKE", "EXCEPTION")


def span_s(text: str) -> float:
    """The seconds of a span such as 90s, 30m, 1h or 2d. Raises SettingsError."""
    found = SPAN.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise SettingsError(f"--since: must be a span as 90s, 30m, 1h or 2d, was {text!r}")
    return float(found[1]) * UNITS_S[found[2]]


def crash_json(crash: Crash, like: int, now: float) -> dict[str, Any]:
    """One line of `stoker crashes --json`. `like` counts the listed crashes of its group, itself among them."""
    failure, capture = crash.failure, crash.capture
    return {
        "id": failure.id,
        "at": failure.at,
        "method": failure.method,
        "path": failure.path,
        "status": failure.status,
        "failure": failure.failure,
        "duration_ms": failure.duration_ms,
        "plane": failure.plane,
        "proxy": failure.proxy,
        "backend": failure.backend,
        "exception": capture and capture.exception,
        "message": capture and capture.message,
        "where": capture and capture.where,
        "profile": profile_word(crash, now),
        "source": capture and capture.source,
        "reason": capture.unprofiled if capture else crash.reason,
        "like": like,
    }


def profile_word(crash: Crash, now: float) -> str:
    """What there is to draw: `profiled`, `backtrace`, `none`, or `waiting` while it may still come."""
    if crash.capture is not None:
        if crash.capture.profiled:
            return "profiled"
        return "backtrace" if crash.capture.exception else "none"
    return "none" if crash.reason or now - crash.failure.at > GIVEN_UP_S else WAITING


def rows(crashes: Sequence[Crash], counts: Mapping[tuple[str, str], int], now: float) -> list[str]:
    """A table of the crashes, headed; names and messages are shown as they are, whatever stands in them."""
    ids = short_ids([crash.failure.id for crash in crashes])
    cells = [HEAD, *(_cells(crash, ids[crash.failure.id], counts.get(crash.group, 1), now) for crash in crashes)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEAD) - 1)]
    return [_row(row, widths) for row in cells]


def row(crash: Crash, like: int, now: float) -> str:
    """The same line alone, for one that has just happened: with its whole id, since others may come."""
    return "  ".join(_cells(crash, crash.failure.id, like, now))


def short_ids(ids: Sequence[str]) -> dict[str, str]:
    """The shortest beginning of each id, of 8 characters or more, that no other one has."""
    ordered = sorted(set(ids))
    found: dict[str, str] = {}
    for at, each in enumerate(ordered):
        shared = max(_shared(each, other) for other in ("", *ordered[max(at - 1, 0) : at], *ordered[at + 1 : at + 2]))
        found[each] = each[: max(shared + 1, ID_CHARS)]
    return found


def _shared(one: str, other: str) -> int:
    length = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        length += 1
    return length


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=False))
    return "  ".join((*padded, cells[-1])).rstrip()


def _cells(crash: Crash, short: str, like: int, now: float) -> tuple[str, ...]:
    failure = crash.failure
    status = str(failure.status) if failure.failure is Symptom.STATUS else f"{failure.failure}"
    return (
        datetime.fromtimestamp(failure.at, UTC).astimezone().strftime("%m-%d %H:%M:%S"),
        short,
        shown(f"{failure.method} {failure.path} {status}", REQUEST_CHARS),
        profile_word(crash, now),
        f"{like}",
        shown(_exception(crash), EXCEPTION_CHARS),
    )


def _exception(crash: Crash) -> str:
    capture = crash.capture
    if capture is None or not capture.exception:
        return crash.reason or (capture.unprofiled if capture else "")
    first = (capture.message or "").strip().partition("\n")[0]
    message = f": {first}" if first else ""
    return f"{capture.exception} at {capture.where}{message}" if capture.where else capture.exception + message


def shown(text: str, chars: int) -> str:
    """The text on one line, without what a terminal would obey, cut to a length."""
    clean = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return clean if len(clean) <= chars else clean[: chars - 1] + "…"
