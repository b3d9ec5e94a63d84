"""A configuration's text by its sections: the marks by which two are told apart, and the slots that one holds."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from haproxy.model import NOWHERE, Slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SECTIONS = ("global", "defaults", "frontend", "backend")
SERVER_LINE = re.compile(
    r"    server (?P<slot>s\d+) (?P<address>\S+):(?P<port>\d+)(?: weight (?P<weight>\d+) # (?P<holder>\S+)| disabled)"
)
MARK = re.compile(r"([a-z]+)=([0-9a-f]{8})")


def marks_of(text: str) -> dict[str, str]:
    """A short hash of each section of a text without slots; two texts with equal marks differ in slots only."""
    parts: dict[str, list[str]] = {name: [] for name in SECTIONS}
    section = ""
    for line in text.splitlines():
        if line and not line[0].isspace() and not line.startswith("."):  # .if and .endif stand within a section
            section = line.split()[0]
        if section in parts:
            parts[section].append(line)
    return {name: hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8] for name, lines in parts.items()}


def marks_text(marks: Mapping[str, str]) -> str:
    """The marks as one word list."""
    return " ".join(f"{name}={mark}" for name, mark in marks.items())


def read_marks(text: str) -> dict[str, str]:
    """The marks in a worker's description; none where it is not ours."""
    return dict(MARK.findall(text)) if text.startswith("stoker ") else {}


def slots_in(text: str) -> tuple[Slot, ...]:
    """The slots that a rendered configuration holds; a line that is not one of ours is passed over."""
    slots = []
    for line in text.splitlines():
        found = SERVER_LINE.fullmatch(line)
        if found is None:
            continue
        try:
            slots.append(_slot(found))
        except ValueError:
            continue  # written by a stranger; the slot is as good as absent, and the next rendering has it again
    return tuple(slots)


def with_slots(text: str, slots: Sequence[Slot]) -> str:
    """The same configuration with these slots."""
    lines = text.splitlines()
    kept = [line for line in lines if SERVER_LINE.fullmatch(line) is None]
    written = [f"    server {line['name']} {line['place']} {line['state']}" for line in server_lines(slots)]
    return "\n".join([*kept, *written]) + "\n"


def _slot(found: re.Match[str]) -> Slot:
    if found["holder"] is None:
        return Slot(found["slot"], *NOWHERE)
    address = found["address"].strip("[]")
    return Slot(found["slot"], address, int(found["port"]), int(found["weight"]), enabled=True, holder=found["holder"])


def server_lines(slots: Iterable[Slot]) -> list[dict[str, str]]:
    """What the template writes of each slot; the reverse of `slots_in`."""
    lines = []
    for slot in slots:
        live = slot.enabled and slot.holder is not None
        address, port = slot.place if live else NOWHERE
        shown = f"[{address}]" if ":" in address else address
        state = f"weight {slot.weight} # {slot.holder}" if live else "disabled"
        lines.append({"name": slot.name, "place": f"{shown}:{port}", "state": state})
    return lines
