"""A log of lines that is written off the requests' path: a bounded queue, and a thread that makes and writes lines."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 10_000
# Lines are written together; the first of a batch waits so long.
BATCH_S = 0.1
STDOUT = "-"

Record = TypeVar("Record")


class AccessFile(Generic[Record]):
    """`add` never waits. A file that was moved away is begun anew; past `rotate_size` it is put aside as `<name>.1`."""

    def __init__(
        self, file: str, line: Callable[[Record], str], say: Callable[[str], None], *, rotate_size: int, keep: int
    ) -> None:
        self.dropped = 0
        self._path = None if file == STDOUT else Path(file).expanduser()
        self._line = line
        self._say = say
        self._rotate_size = rotate_size
        self._keep = keep
        self._queue: deque[Record] = deque()
        self._news = threading.Event()
        self._over = threading.Event()
        self._file: int | None = None
        self._told = 0
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="access log", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def add(self, record: Record) -> None:
        """Have it written; above the limit it is dropped, and counted."""
        if len(self._queue) >= LIMIT:
            self.dropped += 1
            return
        self._queue.append(record)
        if not self._news.is_set():
            self._news.set()

    def close(self, within_s: float) -> None:
        """Write what waits."""
        self._over.set()
        self._news.set()
        self._thread.join(within_s)

    def _run(self) -> None:
        while not self._over.is_set():
            self._news.wait()
            self._over.wait(BATCH_S)
            self._news.clear()
            self._write_all()
        self._write_all()
        if self._file is not None and self._path is not None:
            os.close(self._file)

    def _write_all(self) -> None:
        lines = [self._line(self._queue.popleft()) for _ in range(len(self._queue))]
        if not lines:
            return
        try:
            self._write("".join(f"{line}\n" for line in lines).encode())
            self._failing = False
        except OSError as error:
            self.dropped += len(lines)
            if not self._failing:
                self._failing = True
                self._say(f"access log {self._path or 'on standard output'} cannot be written: {error.strerror}")
        if self.dropped != self._told and not self._failing:
            self._say(f"access log: {self.dropped - self._told} requests were not written down")
            self._told = self.dropped

    def _write(self, content: bytes) -> None:
        file = self._opened()
        while content:
            content = content[os.write(file, content) :]
        if self._path is not None and os.fstat(file).st_size >= self._rotate_size:
            self._rotate(self._path)

    def _opened(self) -> int:
        """The file under that name, which may be another one by now."""
        if self._path is None:
            return sys.stdout.fileno()
        if self._file is not None and not _same(self._file, self._path):
            os.close(self._file)
            self._file = None
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return self._file

    def _rotate(self, path: Path) -> None:
        names = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, self._keep + 1))]
        if self._keep == 0:
            path.unlink()
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            if newer.exists():
                newer.replace(older)


def _same(file: int, path: Path) -> bool:
    try:
        there: Any = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(file))
