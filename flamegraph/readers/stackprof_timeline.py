r"""Read what `stackprof --timeline-flamegraph` prints: rows of rectangles inside `flamegraph([...])`.

It looks like JSON and is not: its strings are Ruby's `String#dump`, with `\#{`, `\e`, `\xFF` and `\u{1F600}`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from flamegraph.profile import Frame, Profile, ProfileError
from flamegraph.readers.columns import Rect, stacks_of
from flamegraph.readers.text import decode

if TYPE_CHECKING:
    from flamegraph.readers.detect import ReadOptions

NAME: Final = "stackprof_timeline"
BEGIN: Final = b"flamegraph(["
STRING: Final = rb'"((?:[^"\\]|\\.)*)"'
ROW: Final = re.compile(
    rb',?\{"x":(\d{1,18}),"y":(\d{1,9}),"width":(\d{1,18}),"frame_id":[^,]*,"frame":'
    + STRING
    + rb',"file":'
    + STRING
    + rb"\}"
)
ESCAPE: Final = re.compile(rb"\\(?:x([0-9A-Fa-f]{1,2})|u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
SHORT: Final = {
    b"n": b"\n",
    b"t": b"\t",
    b"r": b"\r",
    b"e": b"\x1b",
    b"a": b"\a",
    b"b": b"\b",
    b"v": b"\v",
    b"f": b"\f",
}


def detect(data: bytes) -> bool:
    """Whether the call that wraps the rows is there."""
    return data.lstrip()[: len(BEGIN)] == BEGIN


def read(data: bytes, _: ReadOptions) -> Profile:
    """Read every row; one that was cut ends the reading."""
    frames: dict[Frame, int] = {}
    rects: list[Rect] = []
    lines = data.strip().split(b"\n")
    for at, line in enumerate(lines[1:], 2):
        found = ROW.fullmatch(line.strip())
        if found is None:
            if at == len(lines) and line.strip() == b"])":
                break
            raise ProfileError(f"line {at}: not a row of stackprof's timeline, or cut off")
        frame = Frame(undump(found[4]), undump(found[5]))
        rects.append(Rect(int(found[1]), int(found[2]), int(found[3]), frames.setdefault(frame, len(frames))))
    else:
        raise ProfileError(f"line {len(lines)}: the timeline is cut off here")
    stacks, order, weights = stacks_of(rects)
    return Profile(frames=list(frames), stacks=stacks, order=order, weights=weights, source="stackprof")


def undump(raw: bytes) -> str:
    """The text of which Ruby's `String#dump` made this."""
    return decode(ESCAPE.sub(_unescape, raw)) if b"\\" in raw else decode(raw)


def _unescape(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return bytes([int(found[1], 16)])
    code = found[2] or found[3]
    if code:
        point = int(code, 16)
        return chr(point).encode("utf-8", "backslashreplace") if point < 0x110000 else found[0]
    return SHORT.get(found[4], found[4])
