"""Read Rails logs of one JSON object a line, as lograge and others write them."""

from __future__ import annotations

import json
import re
from io import BytesIO
from typing import TYPE_CHECKING, Final

from flamegraph.readers.rails_log import Raised
from flamegraph.readers.rails_requests import Request
from flamegraph.readers.text import sound

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS: Final = frozenset({"method", "path", "status", "controller", "exception", "severity", "level", "message"})
# Of 1973 in either unit.
SECONDS: Final = 100_000_000
MILLISECONDS: Final = 1000 * SECONDS
TIMES: Final = ("@timestamp", "timestamp", "time", "ts")
BACKTRACES: Final = (
    "backtrace", "exception_backtrace", "stack_trace", "stacktrace", "error_backtrace", "exception.backtrace", "trace"
)  # fmt: skip
NAMES: Final = ("class", "name", "exception_class", "error_class", "exception.class", "exception")
HEADED: Final = re.compile(r"([A-Z]\w*(?:::[A-Z]\w*)*)(?: \(|: |$)")


def is_log(head: bytes) -> bool:
    """Whether the first line is an object with two of the keys that such logs have."""
    line = head.lstrip().split(b"\n", 1)[0]
    table = _object(line)
    return table is not None and len(KEYS & table.keys()) >= 2 and "frames" not in table


def exceptions(data: bytes) -> tuple[list[Raised], list[str]]:
    """Every exception in the order of the log, and what is to be said of lines that are no objects."""
    found: list[Raised] = []
    broken: list[int] = []
    for at, line in enumerate(BytesIO(data), 1):
        table = _object(line)
        if table is None:
            broken += [at] * bool(line.strip())
            continue
        raised = _raised(table)
        if raised is not None:
            found.append(raised)
    said = (
        [f"{len(broken)} lines that are no objects of JSON left out, the first is line {broken[0]}"] if broken else []
    )
    return found, said


def _object(line: bytes) -> Mapping[str, object] | None:
    try:
        value = json.loads(line.decode("utf-8", "backslashreplace"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _raised(table: Mapping[str, object]) -> Raised | None:
    given = table.get("exception", table.get("error"))
    inner: Mapping[str, object] = given if isinstance(given, dict) else table
    name = _class_name(given) or _first_text(inner, NAMES)
    headed = HEADED.match(name)
    if headed is None:
        return None
    method, path = table.get("method"), table.get("path", table.get("fullpath"))
    request = None
    if isinstance(path, str):
        method = method if isinstance(method, str) else "GET"
        request = Request(sound(method), sound(path.partition("?")[0]))
    return Raised(sound(headed[1]), _time(table), request, _backtrace(inner) or _backtrace(table))


def _time(table: Mapping[str, object]) -> str:
    """The time as ISO writes it, which some loggers count in seconds or in milliseconds instead."""
    text = _first_text(table, TIMES)
    counted = next((value for key in TIMES if isinstance(value := table.get(key), int | float)), 0)
    if text or not SECONDS < counted < 1000 * MILLISECONDS:
        return text.replace(" ", "T")
    from datetime import UTC, datetime

    return datetime.fromtimestamp(counted / 1000 if counted > MILLISECONDS else counted, UTC).isoformat()


def _class_name(given: object) -> str:
    """Lograge writes the class and the message as an array, or as text."""
    if isinstance(given, list) and given and isinstance(given[0], str):
        return given[0]
    return given if isinstance(given, str) else ""


def _first_text(table: Mapping[str, object], keys: tuple[str, ...]) -> str:
    return next((value for key in keys if isinstance(value := table.get(key), str)), "")


def _backtrace(table: Mapping[str, object]) -> list[str]:
    for key in BACKTRACES:
        value = table.get(key)
        if isinstance(value, str):
            value = value.split("\n")
        if isinstance(value, list):
            return [sound(each.strip()) for each in value if isinstance(each, str) and each.strip()]
    return []
