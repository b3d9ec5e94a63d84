"""Reads and packs documents in a process beside: 8 MB of JSON take a tenth of a second, in which no thread here runs.

As a program this takes one document after the other from standard input, and ends with it. A document goes there as a
line of JSON with id, size and what the plane knows, and its bytes; back comes a line of JSON, and what is stored.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if __name__ == "__main__":  # started by its path, from any folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from fleet.crash import Capture, Failure, Source, Symptom
from fleet.crash_document import pack, read_document
from fleet.crash_told import Found, about, told

if TYPE_CHECKING:
    from collections.abc import Mapping

# The longest that one document may take, the start of the process included, and how much the process gives way.
DOCUMENT_S = 20.0
NICE = 5


@dataclass(frozen=True, slots=True)
class Packed:
    """What is stored of a crash; `failure` is as the plane knew it, or as the app tells it."""

    failure: Failure
    capture: Capture
    content: bytes


class Packer:
    """One document at a time; the process begins with the first. To be used as an async context."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._free = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def packed(self, raw: bytes, crash_id: str, known: Failure | Found) -> Packed:
        """What `pack` makes of the document. Raises ValueError, in one line, where it is none."""
        async with self._free:
            try:
                async with asyncio.timeout(DOCUMENT_S):
                    answer, content = await self._exchange(raw, crash_id, known)
            except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
                raise ValueError("the document could not be read: the process that reads it ended") from error
        if "fault" in answer:
            raise ValueError(answer["fault"])
        capture = answer["capture"]
        return Packed(_failure(answer["failure"]), Capture(**capture | {"source": Source(capture["source"])}), content)

    async def _exchange(self, raw: bytes, crash_id: str, known: Failure | Found) -> tuple[dict[str, Any], bytes]:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, __file__, stdin=PIPE, stdout=PIPE, start_new_session=True
            )
        done = False
        try:
            given, taken = self._process.stdin, self._process.stdout
            if given is None or taken is None:
                raise BrokenPipeError("the process has no pipes")
            kind = "failure" if isinstance(known, Failure) else "found"
            head = {"id": crash_id, "size": len(raw), kind: asdict(known)}
            given.write(json.dumps(head).encode() + b"\n" + raw)
            await given.drain()
            answer = json.loads(await taken.readuntil(b"\n"))
            content = await taken.readexactly(answer.pop("size"))
            done = True
        finally:
            if not done:
                await self._end()
        return answer, content

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _failure(fields: Mapping[str, Any]) -> Failure:
    return Failure(**{**fields, "failure": Symptom(fields["failure"])})


def main() -> None:
    """Documents from standard input, until it ends."""
    os.nice(NICE)
    given, taken = sys.stdin.buffer, sys.stdout.buffer
    while line := given.readline():
        head = json.loads(line)
        try:
            document = read_document(given.read(head["size"]), head["id"])
            failure = _failure(head["failure"]) if "failure" in head else told(document, Found(**head["found"]))
            capture, content = pack(document, about(failure, document.capture.source))
            answer: dict[str, Any] = {"failure": asdict(failure), "capture": asdict(capture)}
        except ValueError as error:
            answer, content = {"fault": str(error)}, b""
        taken.write(json.dumps(answer | {"size": len(content)}).encode() + b"\n" + content)
        taken.flush()


if __name__ == "__main__":
    main()
