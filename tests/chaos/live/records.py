"""What the apps wrote down: when each booted, was told to end, and what it got."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(slots=True)
class Record:
    """One instance's. `begun` are its requests by number: when each began, and when it ended, None for never."""

    boots: list[float] = field(default_factory=list)
    terms: list[float] = field(default_factory=list)
    begun: dict[int, tuple[float, float | None]] = field(default_factory=dict)


def read_records(folder: Path) -> dict[str, Record]:
    """The records of all instances, by name."""
    return {path.stem: _read(path) for path in folder.glob("*.txt")}


def _read(path: Path) -> Record:
    record = Record()
    for line in path.read_text(encoding="ascii").splitlines():
        what, *_, number, moment = line.split(" ")
        at = float(moment)
        match what:
            case "boot":
                record.boots.append(at)
            case "term":
                record.terms.append(at)
            case "begin" if number.isdigit():
                record.begun[int(number)] = at, None
            case "end" if int(number) in record.begun:
                record.begun[int(number)] = record.begun[int(number)][0], at
            case _:
                pass
    return record
