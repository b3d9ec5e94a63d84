"""The Redis of a live run: killed, restarted empty or with old data, paused; and what its clock says may be faked."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import dataclass, field
from pathlib import Path

from fleet.embedded import server_binary
from tests.chaos.live.part import Part, until

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


def faked_clock(file: Path) -> dict[str, str]:
    """Variables with which a process reads the wall clock with the offset in that file, and a true monotonic clock."""
    if not FAKETIME.exists():
        return {}
    file.write_text("+0s\n", encoding="ascii")
    return {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


@dataclass(slots=True)
class Server:
    """A Valkey on a port of loopback, with its data in an append-only file."""

    folder: Path
    port: int
    variables: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    part: Part = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        argv = [server_binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        argv += ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--daemonize", "no", *self.options]
        variables = dict(os.environ) | self.variables
        self.part = Part("valkey", argv, variables, self.folder.with_suffix(".log"))

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        self.part.start()
        await until(self.answers, "the server answers")

    def answers(self) -> bool:
        """Whether it takes commands; not while it loads its data."""
        return self.ask("PING") == b"+PONG\r\n"

    def ask(self, *words: str) -> bytes:
        """One command's first bytes of an answer; b"" where nobody answers."""
        text = f"*{len(words)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1.0) as connection:
                connection.sendall(text.encode())
                return connection.recv(65536)
        except OSError:
            return b""

    def wipe(self) -> None:
        assert self.ask("FLUSHALL") == b"+OK\r\n"

    def forget(self) -> None:
        """Drop the data of a server that was killed."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()

    def keep(self) -> None:
        """Put the present data aside."""
        kept = self.folder.with_suffix(".old")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.folder, kept)

    def back(self) -> None:
        """Give a server that was killed the data that was put aside."""
        kept = self.folder.with_suffix(".old")
        if kept.exists():
            shutil.rmtree(self.folder)
            shutil.copytree(kept, self.folder)
