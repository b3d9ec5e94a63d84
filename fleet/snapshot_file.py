"""The file in which a proxy keeps its snapshot, to start from when the store cannot be reached."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet.backend import Backend, Network, parse_backend
from fleet.registry import Snapshot

if TYPE_CHECKING:
    from fleet.settings import Settings


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """One proxy's file, of one fleet and app."""

    path: Path
    fleet: str
    app: str
    networks: Sequence[Network]

    def write(self, snapshot: Snapshot) -> None:
        """Replace the file: a reader, or a crash in between, sees the old one or the new one. Raises OSError."""
        content = {
            "fleet": self.fleet,
            "app": self.app,
            "generation": snapshot.generation,
            "backends": {name: json.loads(backend.to_json()) for name, backend in snapshot.backends.items()},
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(json.dumps(content))  # in one piece, a tenth of the time of `dump`
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def read(self) -> Snapshot | None:
        """The snapshot, or None where none was ever kept; entries that cannot be believed are its faults.

        Raises ValueError, in one line, for a file that is of another fleet or app, or that is no snapshot.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"snapshot {self.path}: cannot be read: {error}") from error
        return self._snapshot(self._checked(text))

    def _checked(self, text: str) -> dict[str, Any]:
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"snapshot {self.path}: not JSON: {text[:80]!r}") from error
        if not isinstance(content, dict):
            raise ValueError(f"snapshot {self.path}: must be a JSON object, was {text[:80]!r}")  # noqa: TRY004
        for key, wanted in (("fleet", self.fleet), ("app", self.app)):
            if content.get(key) != wanted:
                raise ValueError(f"snapshot {self.path}: {key} must be {wanted!r}, was {str(content.get(key))[:80]!r}")
        return content

    def _snapshot(self, content: dict[str, Any]) -> Snapshot:
        generation, entries = content.get("generation"), content.get("backends")
        if type(generation) is not int or generation < 0 or not isinstance(entries, dict):
            raise ValueError(f"snapshot {self.path}: must hold a generation and backends, held {sorted(content)[:9]}")
        backends: dict[str, Backend] = {}
        faults: list[str] = []
        for name, entry in entries.items():
            try:
                backends[name] = parse_backend(self.app, name, json.dumps(entry), self.networks)
            except ValueError as error:
                faults.append(str(error))
        return Snapshot(generation, backends, tuple(faults))


def snapshot_file(settings: Settings, proxy: str) -> SnapshotFile:
    """The file of the proxy of that id, in the fleet's state folder."""
    path = settings.state_path / "snapshots" / f"{proxy}.json"
    return SnapshotFile(path, settings.fleet, settings.app, settings.networks)
