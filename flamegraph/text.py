"""Text as a picture shows it: escaped, free of what XML forbids, cut to a width, numbers for people."""

from __future__ import annotations

import re

# What XML 1.0 forbids, the C1 controls, and the marks that turn the direction of text and so could hide a name.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
_NEEDS_ESCAPE = re.compile("[&<>\"'\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
# What follows a dot and holds a colon is a place, `cart.rb:7`.
_METHOD = re.compile(r"[#.][^#.:]+$")
_MARKS = ("_[k]", "_[w]", "_[i]", "_[j]")
# A name cut to fewer characters says nothing.
_LEAST = 4
_WIDE_FROM = "\u1100"
_NAMED_DELETE = 0x7F


def escape(text: str) -> str:
    """The text for an SVG, in elements and in attributes; control characters are shown as their pictures."""
    if not _NEEDS_ESCAPE.search(text):
        return text
    return _UNSHOWN.sub(_picture, text).translate(_MARKUP)


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < ord(" "):
        return chr(0x2400 + code)
    return "\u2421" if code == _NAMED_DELETE else "\ufffd"


def displayed(name: str) -> str:
    """A name without the mark that perf's tools put behind it: `_[k]` kernel, `_[j]` compiled, `_[i]` inlined."""
    return name[:-4] if name.endswith(_MARKS) else name


def shorten(name: str, cells: int) -> str:
    """The longest end of a name that fits, its namespaces dropped first; cut only where its method is too long."""
    if len(name) <= cells and name.isascii():
        return name
    end = name
    while _width(end) > cells and "::" in end:
        end = end[end.index("::") + 2 :]
    if _width(end) > cells and (method := _METHOD.search(end)):
        end = method[0]
    return clip(end, cells)


def _width(text: str) -> int:
    return len(text) + (0 if text.isascii() else sum(char >= _WIDE_FROM for char in text))


def clip(text: str, cells: int) -> str:
    """The text cut to a number of character cells, "…" at its end if it was cut; "" where it makes no sense."""
    if _width(text) <= cells:
        return text
    used = 0
    fits = 0
    for char in text:
        used += 2 if char >= _WIDE_FROM else 1
        if used > cells - 1:
            break
        fits += 1
    return f"{text[:fits]}…" if fits >= _LEAST else ""


def number(value: float) -> str:
    """A weight with thousands separated; fractions to two digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".rstrip("0").rstrip(".")


def plain(value: float) -> str:
    """A weight as other programs read it."""
    return str(value) if isinstance(value, int) else f"{value:.6f}".rstrip("0").rstrip(".")


def duration(microseconds: float) -> str:
    """A time in the unit that suits it."""
    if microseconds >= 1_000_000:
        return f"{microseconds / 1_000_000:.4g} s"
    if microseconds >= 1000:
        return f"{microseconds / 1000:.4g} ms"
    return f"{microseconds:g} µs"
