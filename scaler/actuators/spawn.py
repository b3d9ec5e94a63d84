"""A local command about to run: spawned in a session of its own, held until its process file is on disk."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler.actuators import launch

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

PORTS = range(20_000, 32_768)  # below the ports that Linux and macOS give to outgoing connections
TRIES = 100


@dataclass(frozen=True, slots=True)
class Spawned:
    """A process that waits for the word to go; without it, it ends and nothing ran."""

    pid: int
    go: int

    def release(self) -> None:
        """Let it become its command."""
        os.write(self.go, launch.GO)
        os.close(self.go)

    def abandon(self) -> None:
        """Have it end, and reap it."""
        os.close(self.go)
        os.waitpid(self.pid, 0)


def spawn(words: Sequence[str], variables: Mapping[str, str], output: Path) -> Spawned:
    """Spawn the command, held. Raises FileNotFoundError where its program is not on the PATH of `variables`."""
    if shutil.which(words[0], path=variables.get("PATH")) is None:
        raise FileNotFoundError(f"instance.command: {words[0]} is not a program on PATH")
    log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    ready, go = os.pipe()
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", launch.__file__, *words],
            variables,
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, target) for fd, target in ((ready, 0), (log, 1), (log, 2))],
            setsid=True,
        )
    except BaseException:
        os.close(go)
        raise
    finally:
        os.close(log)
        os.close(ready)
    return Spawned(pid, go)


def free_port(address: str, promised: Collection[int]) -> int:
    """A port on which nobody listens. Raises OSError, one line, where 100 tries found none."""
    for _ in range(TRIES):
        port = secrets.choice(PORTS)
        if port not in promised and _is_free(address, port):
            return port
    raise OSError(f"no free port on {address} between {PORTS.start} and {PORTS.stop - 1}")


def _is_free(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
