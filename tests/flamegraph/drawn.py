"""Reads a drawing back, as another program would."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree import ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"
FG = "{http://github.com/jonhoo/inferno}"
TITLE = re.compile(r"(?P<name>.*) \((?P<said>[^()]*)\)(?:\n(?P<place>.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True, order=True)
class Drawn:
    """One frame as it stands in the file."""

    depth: int
    x: float
    w: float
    name: str
    said: str
    place: str
    classes: str


def frames_of(svg: str) -> list[Drawn]:
    """Every frame of a drawing, row by row."""
    box = ET.fromstring(svg).find(f".//{SVG}svg[@id='frames']")  # noqa: S314 our own drawing
    assert box is not None
    groups = box.findall(f"{SVG}g")
    base = int(_rect(groups[0])["y"])
    return sorted(_drawn(group, base) for group in groups)


def _rect(group: ET.Element) -> dict[str, str]:
    rect = group.find(f"{SVG}rect")
    assert rect is not None
    return rect.attrib


def _drawn(group: ET.Element, base: int) -> Drawn:
    parts = TITLE.fullmatch(group.findtext(f"{SVG}title") or "")
    assert parts
    rect = _rect(group)
    return Drawn(
        abs(int(rect["y"]) - base) // 17,
        float(rect[FG + "x"]),
        float(rect[FG + "w"]),
        parts["name"],
        parts["said"],
        parts["place"] or "",
        group.get("class", ""),
    )


def texts_of(svg: str) -> list[str]:
    """Every text that a drawing shows without scripts."""
    return [text.text or "" for text in ET.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314 our own drawing
