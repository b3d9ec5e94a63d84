"""The document that an app leaves of a crash, read from JSON: whatever else stands in it, no value of it is trusted.

It is an object with `"stoker_crash": 1`, written by the Rack middleware of `flamegraph/rails/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from flamegraph.profile import Frame, ProfileError
from flamegraph.readers.text import sound

VERSION: Final = 1
LINE: Final = re.compile(r"(?P<file>.+?):(?P<line>\d{1,9})(?::in [`'](?P<label>.*)')?", re.DOTALL)
# No clock and no count of frames goes as far.
LARGEST: Final = 10**18


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a backtrace; what is no place is its own label."""

    label: str
    file: str = ""
    line: int = 0

    @property
    def frame(self) -> Frame:
        """The same as a frame."""
        return Frame(self.label, self.file, self.line)


@dataclass(frozen=True, slots=True)
class Fault:
    """The exception. `places` begin at the root, `frames` is how many there were before the middle was cut out."""

    name: str
    message: str = ""
    places: Sequence[Place] = ()
    frames: int = 0
    cut: bool = False
    cause: str = ""


@dataclass(frozen=True, slots=True)
class CrashDocument:
    """A request that failed; what the document does not say is "" or None. Times in µs are of the monotonic clock.

    `at` is Unix time. `table` is stackprof's hash; of a replay there is `page`, that of rack-mini-profiler, instead.
    """

    at: float | None = None
    method: str = ""
    path: str = ""
    status: int | None = None
    started_us: int | None = None
    stopped_us: int | None = None
    fault: Fault | None = None
    why: str = ""
    unprofiled: str = ""
    threads: str = ""
    stopped: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    proxy: Mapping[str, str] = field(default_factory=dict)
    table: Mapping[object, object] | None = None
    page: str = ""

    @property
    def request(self) -> str:
        """Method and path, as far as they are known."""
        return f"{self.method} {self.path}".strip() or "unknown request"


def parse(value: object) -> CrashDocument:
    """Read the document; raises ProfileError where it is none, or of another version."""
    content = _table(value)
    version = content.get("stoker_crash")
    if version != VERSION:
        raise ProfileError(f"a crash document must be of version {VERSION}, was {version!r}")
    request = _table(content.get("request"))
    profile = content.get("profile")
    return CrashDocument(
        at=_number(content.get("at")),
        method=_text(request.get("method")),
        path=_text(request.get("path")),
        status=_whole(request.get("status")),
        started_us=_whole(request.get("started_at_us")),
        stopped_us=_whole(request.get("stopped_at_us")),
        fault=_fault(content.get("exception")),
        versions=_texts(content.get("versions")),
        proxy=_texts(content.get("proxy")),
        table=profile if isinstance(profile, dict) and profile else None,
        **{key: _text(content.get(key)) for key in ("why", "unprofiled", "threads", "stopped", "host", "page")},
    )


def place_of(line: str) -> Place:
    """The place that a line of a backtrace names: "file:line:in `label'", or with 'Class#label' since Ruby 3.4."""
    found = LINE.fullmatch(line)
    if found is None:
        return Place(line or "(empty line)")
    return Place(found["label"] or "(no method)", found["file"], int(found["line"]))


def _fault(value: object) -> Fault | None:
    table = _table(value)
    if not table:
        return None
    listed = table.get("backtrace")
    lines = [sound(line) for line in listed if isinstance(line, str)] if isinstance(listed, list) else []
    cause = _table(table.get("cause"))
    return Fault(
        name=_text(table.get("class")) or "unknown exception",
        message=_text(table.get("message")),
        places=[place_of(line) for line in reversed(lines)],
        frames=max(_whole(table.get("frames")) or 0, len(lines)),
        cut=table.get("cut") is True,
        cause=": ".join(filter(None, (_text(cause.get("class")), _text(cause.get("message"))))),
    )


def _table(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _texts(value: object) -> dict[str, str]:
    return {key: str(each) for key, each in _table(value).items() if isinstance(each, str | int)}


def _text(value: object) -> str:
    return sound(value) if isinstance(value, str) else ""


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -LARGEST < value < LARGEST:
        return None
    return value
