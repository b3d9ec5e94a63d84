"""The configuration on disk: checked by HAProxy itself before it replaces the one that works, which is kept beside."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import subprocess
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from haproxy.errors import HaproxyError
from haproxy.sections import slots_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haproxy.model import Slot

CHECK_TIMEOUT_S = 30.0
LOCK_STEP_S = 0.02
COMPLAINT = re.compile(r"\[(?P<file>[^\]]+):(?P<line>\d+)\]\s*:?\s*(?P<words>.*)")
GRAVE = re.compile(r"^\[ALERT\][^:]*:\s*(?:config\s*:\s*)?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """haproxy.cfg. `good` beside it is the last one with which a worker served."""

    path: Path

    @property
    def good(self) -> Path:
        """The last one that is known to serve."""
        return self.path.with_name(f"{self.path.name}.good")

    def slots(self) -> tuple[Slot, ...]:
        """The slots in the file; none where there is no file."""
        return slots_in(self.read() or "")

    def read(self) -> str | None:
        """Its text; None where there is no file that can be read."""
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def replace(self, text: str, binary: str | None) -> None:
        """Write it in one go, after this haproxy has accepted it (None: it differs from the last one in slots only).

        Raises HaproxyError with HAProxy's own complaint and our line, or OSError; the old file then stays.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if binary is not None:
                check(binary, Path(name))
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def approve(self) -> None:
        """A worker serves with the file as it is: keep a copy. Raises OSError."""
        draft = self.good.with_suffix(".new")
        draft.write_bytes(self.path.read_bytes())
        draft.replace(self.good)

    def restore(self, text: str | None) -> bool:
        """Put the former text back, or the last good one where there was none; False without either. Raises OSError."""
        if text is None and not self.good.is_file():
            return False
        draft = self.path.with_name(f".{self.path.name}.restored")
        draft.write_text(self.good.read_text(encoding="utf-8") if text is None else text, encoding="utf-8")
        draft.replace(self.path)
        return True


def have_map(path: Path) -> None:
    """HAProxy does not start without the file, however little is in it. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)


def write_map(path: Path, text: str) -> None:
    """Replace the file in one go. Raises OSError."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text, encoding="ascii")
    draft.replace(path)


def check(binary: str, path: Path) -> None:
    """Have HAProxy read the file. Raises HaproxyError with its complaint and the line that it is about."""
    try:
        asked = subprocess.run(
            [binary, "-c", "-f", str(path)], capture_output=True, text=True, timeout=CHECK_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HaproxyError(f"{binary}: cannot check the configuration: {error}") from error
    if asked.returncode:
        raise HaproxyError(f"HAProxy refuses the configuration: {_complaint(asked.stderr + asked.stdout, path)}")


def _complaint(said: str, path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    for alert in [line for line in said.splitlines() if line.startswith("[ALERT]")] or said.splitlines():
        found = COMPLAINT.search(GRAVE.sub("", alert))
        if found and found["file"] == str(path) and 0 < int(found["line"]) <= len(lines):
            number = int(found["line"])
            return f"{found['words'].strip()[:300]} (line {number}: {lines[number - 1].strip()[:160]!r})"
    words = " ".join(GRAVE.sub("", said).split())
    return words[:300] or "it does not say why"


@asynccontextmanager
async def sole_changer(lock: Path) -> AsyncIterator[None]:
    """Whoever changes this HAProxy, by commands or by a reload, does so alone; others wait."""
    lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lock.open("w") as file:
        while not _locked(file):  # noqa: ASYNC110  # another process holds it
            await asyncio.sleep(LOCK_STEP_S)
        yield


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
