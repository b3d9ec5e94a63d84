"""Reads and packs documents in a process beside: 8 MB of JSON take a tenth of a second, in which no thread here runs.

As a program this takes one document after the other from standard input, and ends with it. A document goes there as a
line of JSON with id, proxy and size, and its bytes; what comes back is a line of JSON and what is to be stored.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if __name__ == "__main__":  # started by its path, from any folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from fleet.crash import Capture, Source
from fleet.crash_document import pack, read_document

if TYPE_CHECKING:
    from collections.abc import Mapping

# The longest that one document may take, the start of the process included, and how much the process gives way.
DOCUMENT_S = 20.0
NICE = 5


class Packer:
    """One document at a time; the process begins with the first. To be used as an async context."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._free = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def packed(self, raw: bytes, crash_id: str, proxy: Mapping[str, object]) -> tuple[Capture, bytes]:
        """What `pack` makes of the document. Raises ValueError, in one line, where it is none."""
        async with self._free:
            try:
                async with asyncio.timeout(DOCUMENT_S):
                    answer, content = await self._exchange(raw, crash_id, proxy)
            except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
                raise ValueError("the document could not be read: the process that reads it ended") from error
        if "fault" in answer:
            raise ValueError(answer["fault"])
        return Capture(**answer | {"source": Source(answer["source"])}), content

    async def _exchange(self, raw: bytes, crash_id: str, proxy: Mapping[str, object]) -> tuple[dict[str, Any], bytes]:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, __file__, stdin=PIPE, stdout=PIPE, start_new_session=True
            )
        done = False
        try:
            given, taken = self._process.stdin, self._process.stdout
            if given is None or taken is None:
                raise BrokenPipeError("the process has no pipes")
            given.write(json.dumps({"id": crash_id, "proxy": proxy, "size": len(raw)}).encode() + b"\n" + raw)
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


def main() -> None:
    """Documents from standard input, until it ends."""
    os.nice(NICE)
    given, taken = sys.stdin.buffer, sys.stdout.buffer
    while line := given.readline():
        head = json.loads(line)
        try:
            capture, content = pack(read_document(given.read(head["size"]), head["id"]), head["proxy"])
            answer = asdict(capture)
        except ValueError as error:
            answer, content = {"fault": str(error)}, b""
        taken.write(json.dumps(answer | {"size": len(content)}).encode() + b"\n" + content)
        taken.flush()


if __name__ == "__main__":
    main()
