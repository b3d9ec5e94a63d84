"""How far messages were delivered, in a file: it outlives a store that forgets everything."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from fleet.delivery import Place

ENTRY = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class PlaceFile:
    """One small file in the state folder."""

    path: Path

    def read(self) -> Place:
        """What was written last; nothing where there is no such file, or none of ours."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return Place()
        known = content if isinstance(content, dict) else {}
        return Place(*(_entry(known.get(stream)) for stream in ("events", "crashes")))

    def write(self, place: Place) -> None:
        """Replace it in one go: a reader finds the old or the new one."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(place)), encoding="utf-8")
        fresh.replace(self.path)


def _entry(value: object) -> str:
    return value if isinstance(value, str) and ENTRY.fullmatch(value) else ""
