"""Read pages of rack-mini-profiler, of the flamegraph gem (to 2.2) and with speedscope, and of rails-mini-profiler."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from flamegraph.profile import Frame, Profile, ProfileError
from flamegraph.readers import stackprof
from flamegraph.readers.columns import Rect, stacks_of
from flamegraph.readers.json_text import value_at
from flamegraph.readers.text import sound

if TYPE_CHECKING:
    from flamegraph.readers.detect import ReadOptions

NAME: Final = "mini_profiler"
SOURCE: Final = "rack-mini-profiler"
GRAPH: Final = re.compile(r"\b(?:var|const|let) graph = (?=\{)")
OLD: Final = re.compile(r"\bvar data = (?=\[)")
TITLE: Final = re.compile(r"title=' \+ '([^'\n]{1,2000})'")
# What Ruby's backtraces look like; the quote changed in 3.4.
PLACED: Final = re.compile(r"(.*?):(\d{0,9}):in [`'](.*)'", re.DOTALL)
# The old gem lost one backslash of each two, so some are left that JSON does not know.
LONE_BACKSLASH: Final = re.compile(r'\\(?!["\\/bfnrt]|u[0-9A-Fa-f]{4})')


def detect(data: bytes) -> bool:
    """Whether a page has the variable that holds the profile."""
    return b" graph = {" in data or b"var data = [" in data


def read(data: bytes, options: ReadOptions) -> Profile:
    """Read the profile inside the page's script."""
    text = data.decode("utf-8", "backslashreplace")
    found = GRAPH.search(text)
    if found:
        table, _end = value_at(text, found.end())
        if not isinstance(table, dict):
            raise ProfileError("the page's graph is not an object")
        return stackprof.from_table(table, title=_title(text), source=SOURCE, ordered=options.ordered)
    found = OLD.search(text)
    if found:
        return _old(text, found.end())
    raise ProfileError("a web page without a flame graph of rack-mini-profiler")


def _title(text: str) -> str:
    found = TITLE.search(text)
    if found is None:
        return ""
    from urllib.parse import unquote_plus

    return sound(unquote_plus(found[1]))


def _old(text: str, at: int) -> Profile:
    try:
        value, _ = value_at(text, at)
    except ProfileError:
        line = text[at : text.find("\n", at)] if "\n" in text[at:] else text[at:]
        value, _ = value_at(LONE_BACKSLASH.sub(r"\\\\", line), 0)
    frames: dict[Frame, int] = {}
    rects: list[Rect] = []
    for number, cell in enumerate(value if isinstance(value, list) else []):
        match cell:
            case {"x": int(x), "y": int(y), "width": int(width), "frame": str(frame)}:
                rects.append(Rect(x, y, width, frames.setdefault(frame_of(sound(frame)), len(frames))))
            case _:
                raise ProfileError(f"cell {number} of the page's data has no x, y, width and frame")
    stacks, order, weights = stacks_of(rects)
    return Profile(frames=list(frames), stacks=stacks, order=order, weights=weights, source=SOURCE)


def frame_of(text: str) -> Frame:
    """The frame that a line of a backtrace names."""
    found = PLACED.fullmatch(text)
    return Frame(found[3], found[1], int(found[2] or 0)) if found else Frame(text)
