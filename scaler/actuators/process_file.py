"""The file that says which process an instance is (on disk before the command runs), and its output beside it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, TypeAdapter

from fleet.backend import instance_number
from scaler.actuators.excerpt import one_line
from scaler.actuators.labels import Owner

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG_TAIL = 64_000


@dataclass(frozen=True, slots=True)
class ProcessFile:
    """What is kept of one local instance; `mark` tells its process from any other that ever had the pid."""

    fleet: str
    app: str
    name: str
    spec: str
    pid: Annotated[int, Field(gt=1)]
    mark: str
    url: Annotated[str, Field(pattern=r"^http://[0-9a-f.:\[\]]+:[0-9]+$")]


_FORMAT = TypeAdapter(ProcessFile)


@dataclass(frozen=True, slots=True)
class ProcessFiles:
    """The files of one fleet and app, in a folder that also holds others."""

    folder: Path
    owner: Owner

    def names(self) -> Iterator[str]:
        """The names of this app's instances that have a file."""
        for path in sorted(self.folder.glob("*.json")):
            if instance_number(self.owner.app, path.stem) is not None:
                yield path.stem

    def read(self, name: str) -> ProcessFile | None:
        """The instance's file, None where there is none. Raises ValueError, one line, if it is not one of ours."""
        path = self.folder / f"{name}.json"
        try:
            found = _FORMAT.validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            raise ValueError(f"{path}: not a process file: {one_line(str(error))}") from error
        if (found.fleet, found.app, found.name) != (self.owner.fleet, self.owner.app, name):
            raise ValueError(f"{path}: belongs to {found.fleet} {found.app} {found.name}, not to this fleet and app")
        return found

    def write(self, file: ProcessFile) -> None:
        """Put the file there, whole and on disk. Raises FileExistsError if the name has one."""
        handle, temporary = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".new", dir=self.folder)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(asdict(file), stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.link(temporary, self.folder / f"{file.name}.json")  # unlike a rename, fails where there is one
        finally:
            Path(temporary).unlink()
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def remove(self, name: str) -> None:
        """Remove the instance's file, its output, and what a killed scaler left half written."""
        # A pattern for each name would fill Python's memory of patterns, half a thousand names long.
        leftovers = [path for path in self.folder.glob(".*.new") if path.name.startswith(f".{name}.")]
        for path in [self.folder / f"{name}.json", self.log(name), self._old_log(name), *leftovers]:
            path.unlink(missing_ok=True)

    def log(self, name: str) -> Path:
        """Where the instance's output goes."""
        return self.folder / f"{name}.log"

    def _old_log(self, name: str) -> Path:
        return self.folder / f"{name}.log.1"

    def log_tail(self, name: str) -> bytes:
        """The last 64 kB of the output, empty where there is none."""
        try:
            with self.log(name).open("rb") as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - LOG_TAIL))
                return stream.read()
        except FileNotFoundError:
            return b""

    def rotate(self, name: str, size: int) -> None:
        """Keep an output longer than `size` bytes as the old one; what is written meanwhile may be lost."""
        log = self.log(name)
        if log.exists() and log.stat().st_size > size:
            shutil.copyfile(log, self._old_log(name))
            os.truncate(log, 0)
