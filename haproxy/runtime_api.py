"""Conversations with HAProxy over its unix sockets: one kept open to a worker, short ones with the master."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from haproxy.commands import NUMBERED
from haproxy.errors import HaproxyError, NotListeningError

TIMEOUT_S = 2.0
ANSWER_LIMIT = 2**26
PROMPT = b"\n> "


class Link(Protocol):
    """A way to one worker."""

    async def ask(self, *commands: str) -> list[str]:
        """The answer to each command. Raises HaproxyError."""

    def close(self) -> None:
        """No more questions."""


class RuntimeApi:
    """One open conversation with the worker that listens at a stats socket.

    While it is open the worker stays, even after it was replaced and its last client left: so its last counters can
    be read.
    """

    def __init__(self, path: Path, timeout_s: float = TIMEOUT_S) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        """Connect. Raises HaproxyError where nobody answers as HAProxy does."""
        try:
            async with asyncio.timeout(self._timeout_s):
                self._reader, self._writer = await asyncio.open_unix_connection(str(self._path), limit=ANSWER_LIMIT)
        except TimeoutError as error:
            raise HaproxyError(f"{self._path}: no connection within {self._timeout_s:g} s") from error
        except OSError as error:
            raise NotListeningError(f"{self._path}: nobody listens: {error.strerror}") from error
        await self.ask("prompt", NUMBERED)

    async def ask(self, *commands: str) -> list[str]:
        """The answer to each command, asked in one go. Raises HaproxyError, after which the conversation is over."""
        reader, writer = self._reader, self._writer
        if reader is None or writer is None:
            raise HaproxyError(f"{self._path}: not connected")
        try:
            async with asyncio.timeout(self._timeout_s):
                writer.write("".join(f"{command}\n" for command in commands).encode("ascii"))
                answers = [await reader.readuntil(PROMPT) for _ in commands]
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
            self.close()
            raise HaproxyError(f"{self._path}: {_broken(error)} at `{commands[0][:80]}`") from error
        except BaseException:
            # Whoever was waiting is gone; the next question must not get this one's answer.
            self.close()
            raise
        return [answer[: -len(PROMPT)].decode("utf-8", "replace").strip("\n") for answer in answers]

    def close(self) -> None:
        """Let the worker go."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


@dataclass(frozen=True, slots=True)
class WorkerByMaster:
    """A worker that was replaced before we came: it no longer listens, but the master passes questions on."""

    master: Path
    pid: int

    async def ask(self, *commands: str) -> list[str]:
        """The answer to each command. Raises HaproxyError."""
        return [await ask_master(self.master, f"@!{self.pid} {command}") for command in commands]

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class Processes:
    """What the master says of itself and its workers."""

    master: int
    reloads: int
    failed: bool
    workers: tuple[int, ...]
    old_workers: tuple[int, ...]


async def ask_master(path: Path, command: str, timeout_s: float = TIMEOUT_S) -> str:
    """One question, one answer. Raises HaproxyError."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(str(path), limit=ANSWER_LIMIT)
            try:
                writer.write(f"{command}\n".encode("ascii"))
                writer.write_eof()
                answer = await reader.read(-1)
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise HaproxyError(f"{path}: {_broken(error)} at `{command[:80]}`") from error
    return answer.decode("utf-8", "replace").strip("\n")


async def processes(path: Path) -> Processes:
    """The master's and the workers' pids. Raises HaproxyError where the socket is not a HAProxy master's."""
    text = await ask_master(path, "show proc")
    found: dict[str, list[int]] = {"workers": [], "old workers": []}
    head = re.search(r"^(\d+)\s+master\s+(\d+) \[failed: (\d+)\]", text, re.MULTILINE)
    if head is None:
        raise HaproxyError(f"{path}: not a HAProxy master's socket, it said {text[:80]!r}")
    section = ""
    for line in text.splitlines():
        if line.startswith("# "):
            section = line[2:].strip()
        elif section in found and (row := re.match(r"(\d+)\s+worker\s", line)):
            found[section].append(int(row[1]))
    return Processes(int(head[1]), int(head[2]), head[3] != "0", tuple(found["workers"]), tuple(found["old workers"]))


def _broken(error: BaseException) -> str:
    match error:
        case TimeoutError():
            return "no answer in time"
        case EOFError():
            return "the answer was cut short"
        case OSError():
            return error.strerror or "the connection broke"
        case _:
            return "an answer that does not end"
