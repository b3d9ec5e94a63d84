r"""Folded text, the waist of this package: `root;caller;leaf 12`, a stack a line.

A semicolon in a name is written `\x3b`, and so is whatever else a reader would take for something else: control
characters, a number at a leaf's end, a mark of a comment at a root's beginning, and what already looks like an escape.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from flamegraph.readers.folded import ESCAPED, PLACE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flamegraph.profile import Frame, Profile

SPECIAL: Final = re.compile(r"[;\x00-\x1f\x7f]")
# A dash that does not stand between name and place.
DASH: Final = " -\\x20"
NUMBER_AT_END: Final = re.compile(r" (?=\d+(?:\.\d*)?$)")


def fold(profile: Profile, *, time_order: bool = False, files: bool = False) -> Iterator[str]:
    """The lines, equal stacks added in the order in which they first came, or one for each entry.

    With `files` a name carries its place, `name - path:line`, as rbspy writes it. A profile with two counts a stack
    keeps both.
    """
    names = [_name(frame, files=files) for frame in profile.frames]
    texts = [";".join([names[index] for index in stack]) for stack in profile.stacks]
    texts = [_guard(text) if text[:2] == "# " or text[-1:].isdigit() or text[-1:] == "." else text for text in texts]
    columns = [profile.weights] if profile.weights_after is None else [profile.weights, profile.weights_after]
    lines = [texts[index] for index in profile.order]
    if not time_order:
        columns = [_added(lines, weights) for weights in columns]
        lines = list(dict.fromkeys(lines))
    counts = (map(number, weights) for weights in columns)
    for parts in zip(lines, *counts, strict=True):
        yield " ".join(parts)


def _added(lines: Sequence[str], weights: Sequence[float]) -> list[float]:
    """The weights of equal lines added, in the order in which they first came."""
    totals: dict[str, float] = {}
    for line, weight in zip(lines, weights, strict=True):
        totals[line] = totals.get(line, 0) + weight
    return list(totals.values())


def number(weight: float) -> str:
    """A weight as digits, never with an exponent, which no reader of folded text takes."""
    text = repr(weight)
    return text if "e" not in text else f"{weight:.9f}".rstrip("0").rstrip(".")


def escape(text: str) -> str:
    r"""Write semicolons, control characters and the backslash of what looks like an escape as `\x3b`."""
    text = ESCAPED.sub(lambda found: "\\x5c" + found[0][1:], text) if "\\x" in text else text
    return SPECIAL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _name(frame: Frame, *, files: bool) -> str:
    name = escape(frame.name)
    if files and frame.file:
        file = escape(frame.file).replace(" - ", DASH)
        return f"{name} - {file}:{frame.line}"
    return name.replace(" - ", DASH) if PLACE.fullmatch(name) else name


def _guard(text: str) -> str:
    if text[:2] == "# ":
        text = "\\x23" + text[1:]
    return NUMBER_AT_END.sub(r"\\x20", text)
