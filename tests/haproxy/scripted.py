"""A stats socket whose answers a test scripts."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

PROMPT = b"\n> "


@asynccontextmanager
async def stats_socket(path: Path, answer: Callable[[str], bytes | None]) -> AsyncIterator[list[str]]:
    """Answers each line by `answer`, which gives the raw bytes, or None to close; yields what was asked."""
    asked: list[str] = []
    writers: list[asyncio.StreamWriter] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        async for line in reader:
            command = line.decode().strip()
            asked.append(command)
            said = PROMPT if command in {"prompt", "set severity-output number"} else answer(command)
            if said is None:
                break
            writer.write(said)
        writer.close()

    server = await asyncio.start_unix_server(converse, str(path))
    try:
        yield asked
    finally:
        server.close()
        for writer in writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
