"""What HAProxy logs of a request that failed: the format that it is given, and a line read back with suspicion."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from fleet.crash import Symptom

# HAProxy's own format of HTTP logs, and after it the instance's address and the request's id.
LOG_FORMAT = (
    "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"
    " %si:%sp %ID"
)
LINE = re.compile(
    r"\S+ \[[^]]*\] \S+ [^ /]+/(?P<server>\S+) (?:-?\d+/){4}\+?(?P<duration_ms>-?\d+) (?P<status>\d{3}) \+?\d+ .*?"
    r" (?P<ended>[A-Za-z-]{2})[A-Za-z-]{2} (?:\+?\d+/){4}\+?\d+ \d+/\d+ .*"
    r'"(?P<method>[^" ]{1,40}) (?P<target>[^" ]*)[^"]*" (?P<address>\S+):(?P<port>\d+) (?P<id>[0-9a-f]{32})',
    re.DOTALL,
)
# HAProxy writes a character that could end a field as # and two digits; a target holds no other #.
ESCAPED = re.compile(r"#([0-9A-F]{2})")
NO_SERVER = "<NOSRV>"
LONGEST_PATH = 2000
LONGEST_METHOD = 40
ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Logged:
    """A request that failed at the instance at `place`; `status` is None where that did not answer."""

    id: str
    place: tuple[str, int]
    method: str
    path: str
    status: int | None
    symptom: Symptom
    duration_ms: float


def read_line(line: bytes) -> Logged | None:
    """The failed request of a logged line; None for what did not fail, or reached no instance."""
    if line.startswith(b"{"):
        return _of_access(line)
    found = LINE.fullmatch(line.decode("latin-1").rstrip("\n"))
    if found is None or found["server"] == NO_SERVER:
        return None
    status, ended = int(found["status"]), found["ended"]
    symptom = _symptom(status, ended)
    if symptom is None:
        return None
    return Logged(
        id=found["id"],
        place=(found["address"], int(found["port"])),
        method=found["method"],
        path=_path(found["target"]),
        status=None if symptom is Symptom.ABORTED else status,
        symptom=symptom,
        duration_ms=float(found["duration_ms"]),
    )


def _of_access(line: bytes) -> Logged | None:
    """The same of a line of the access log."""
    try:
        found: dict[str, Any] = json.loads(line)
        status, symptom = int(found["status"]), _symptom(int(found["status"]), str(found["ended"]))
        address, _, port = str(found["address"]).rpartition(":")
        if symptom is None or found["server"] == NO_SERVER or not ID.fullmatch(str(found["id"])):
            return None
        return Logged(
            id=str(found["id"]),
            place=(address, int(port)),
            method=str(found["method"])[:LONGEST_METHOD],
            path=_path(str(found["path"])),
            status=None if symptom is Symptom.ABORTED else status,
            symptom=symptom,
            duration_ms=float(found["total_ms"]),
        )
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None


def _symptom(status: int, ended: str) -> Symptom | None:
    """`ended` is who ended it, a letter, and when: in the connection, the queue, the head or the data."""
    who, when = ended[0], ended[1]
    if when == "D" and who not in "Cc":
        return Symptom.BROKEN
    if status < 500 or when in "CQ":
        return None
    return Symptom.STATUS if who in "-Cc" else Symptom.ABORTED


def _path(target: str) -> str:
    """Without a query, which may hold secrets, and without what an HTTP/2 client puts before the path."""
    path = target.partition("?")[0]
    if not path.startswith("/"):
        path = "/" + path.partition("://")[2].partition("/")[2]
    return ESCAPED.sub(lambda code: chr(int(code[1], 16)), path)[:LONGEST_PATH]
