"""Read the exceptions of a Rails log: each backtrace is one sample of what failed, as Rails logged it.

Understood are Ruby's default formatter, tags before the message, bare messages, and objects of JSON a line (lograge).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Final

from flamegraph.profile import Frame, Profile, ProfileError
from flamegraph.readers.rails_requests import Lane, Request
from flamegraph.readers.text import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flamegraph.readers.detect import ReadOptions

NAME: Final = "rails_log"
NOTE: Final = "one sample is one exception; frames and lines are those that Rails logged, not all that ran"
MAX_DEPTH: Final = 2048

LINE: Final = re.compile(r"[DIWEFAU], \[([-\dT:.]+)[^#\]]*#(\d+)\] +[A-Z]+ -- [^:]*: ?(.*)", re.DOTALL)
TAGS: Final = re.compile(r"((?:\[[^\[\]\n]{1,200}\] )+)(.*)", re.DOTALL)
STARTED: Final = re.compile(r'Started ([A-Z]+) "([^"]*)"')
COMPLETED: Final = re.compile(r"Completed (\d{3}) ")
RAISED: Final = re.compile(r"([A-Z]\w*(?:::[A-Z]\w*)*) \((.*)", re.DOTALL)
PLACED: Final = re.compile(r"(\S.*?):(\d{1,9})(?::in [`'](.*)')?")
SINCE: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?")
HEAD: Final = re.compile(rb"# Logfile created on |[DIWEFAU], \[\d{4}-\d\d-|(?:\[[^\]\n]+\] )*Started [A-Z]+ \"/")


@dataclass(slots=True)
class Raised:
    """An exception and the places of its backtrace, innermost first."""

    name: str
    time: str
    request: Request | None
    places: list[str] = field(default_factory=list)
    in_message: bool = False


def detect(data: bytes) -> bool:
    """Whether the first lines are a log's."""
    head = data[: 1 << 16]
    if head.lstrip()[:1] == b"{":
        from flamegraph.readers.rails_json import is_log

        return is_log(head)
    return any(map(HEAD.match, head.splitlines()))


def read(data: bytes, options: ReadOptions) -> Profile:
    """Read every exception that the options ask for; raises ProfileError where there is none."""
    if options.since and not SINCE.fullmatch(options.since):
        raise ProfileError(f"--since is a time as 2026-11-23T02:05, was {options.since!r}")
    found, broken = _exceptions(data)
    since = options.since.replace(" ", "T")
    kept = [
        each
        for each in found
        if each.time >= since
        and (not options.path or (each.request is not None and each.request.path.startswith(options.path)))
        and (not options.exception or each.name == options.exception)
    ]
    if not kept:
        none = f"none of its {len(found)} exceptions is asked for" if found else "no exception"
        raise ProfileError(f"a log, but {none}")
    bare = sum(not each.places for each in kept)
    timeless = sum(not each.time for each in found) if since else 0
    warnings = [f"{bare} of the exceptions were logged without a backtrace"] * (bare > 0)
    warnings += [f"{timeless} of the exceptions have no time: --since leaves them out"] * (timeless > 0)
    return _profile(kept, warnings + broken)


def _exceptions(data: bytes) -> tuple[list[Raised], list[str]]:
    if data.lstrip()[:1] == b"{":
        from flamegraph.readers.rails_json import exceptions

        return exceptions(data)
    return _Log().read(data), []


class _Log:
    """One pass over a log of lines."""

    def __init__(self) -> None:
        self.found: list[Raised] = []
        self.lanes: dict[str, Lane] = {}
        self.open: dict[str, Raised] = {}
        self.time = ""
        self.pid = ""

    def read(self, data: bytes) -> list[Raised]:
        """Every exception in the order of the log."""
        for line in BytesIO(data):
            text = decode(line.rstrip(b"\r\n"))
            begins = LINE.fullmatch(text)
            if begins:
                self.time, self.pid, text = begins.groups()
            tagged = TAGS.fullmatch(text)
            # A tag tells requests apart even where processes share a log; without one only the process does.
            key, text = (tagged[1], tagged[2]) if tagged else ("#" + self.pid, text)
            self._message(key, text, begins=begins is not None)
        return self.found

    def _message(self, key: str, text: str, *, begins: bool) -> None:
        raised = self.open.get(key)
        if raised is not None and self._continues(raised, text):
            return
        if started := STARTED.match(text):
            self.open.pop(key, None)
            path = started[2].partition("?")[0]
            self.lanes.setdefault(key, Lane()).start(Request(started[1], path))
        elif completed := COMPLETED.match(text):
            self.lanes.setdefault(key, Lane()).complete(int(completed[1]))
        elif (name := RAISED.match(text)) and text[:9] != "Completed":
            self._raise(key, name)
        elif begins and text.strip():
            self.open.pop(key, None)

    def _raise(self, key: str, name: re.Match[str]) -> None:
        request = self.lanes.setdefault(key, Lane()).raise_one()
        raised = Raised(name[1], self.time, request, in_message=not name[2].endswith("):"))
        self.open[key] = raised
        self.found.append(raised)

    def _continues(self, raised: Raised, text: str) -> bool:
        """Whether a line belongs to the exception: its message, its causes, its source, its backtrace."""
        if PLACED.fullmatch(text):
            raised.in_message = False
            raised.places.append(text)
            return True
        if STARTED.match(text) or COMPLETED.match(text):
            return False
        if raised.in_message:
            raised.in_message = not text.endswith(("):", ")"))
            return True
        # Causes and annotated source stand between the message and the backtrace.
        return not raised.places and not (text.endswith("):") and RAISED.match(text))


def frame_of(place: str) -> Frame:
    """The frame that a line of a backtrace names; without a method it has its file's name."""
    found = PLACED.fullmatch(place)
    if found is None:
        return Frame(place)
    return Frame(found[3] or found[1], found[1], int(found[2]))


def _profile(kept: Sequence[Raised], warnings: list[str]) -> Profile:
    frames: dict[Frame, int] = {}
    stacks: dict[tuple[int, ...], int] = {}
    order = []
    for raised in kept:
        stack = tuple([frames.setdefault(frame, len(frames)) for frame in _stack(raised)])
        order.append(stacks.setdefault(stack, len(stacks)))
    return Profile(
        frames=list(frames),
        stacks=list(stacks),
        order=order,
        weights=[1] * len(order),
        unit="exceptions",
        warnings=warnings,
        source=NAME,
        note=NOTE,
    )


def _stack(raised: Raised) -> Iterator[Frame]:
    """The request, the backtrace from its root, and the exception; what is too deep is cut in its middle."""
    request = raised.request
    yield Frame(f"{request.method} {request.path}" if request else "unknown request")
    places = raised.places[::-1]
    room = MAX_DEPTH - 2
    if len(places) > room:
        half = room // 2
        cut = len(places) - (room - 1)
        yield from map(frame_of, places[:half])
        yield Frame(f"({cut:,} more)")
        places = places[half + cut :]
    yield from map(frame_of, places)
    yield Frame(raised.name)
