"""A backend that keeps every byte it is sent, and a client that sends whatever it is told."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.security.strict import AmbiguousError, Request, requests_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n"
# No answer within this: the proxy waits for more of the request, as it may.
SILENT_S = 0.25
# An answer that must come, also on a machine that is busy.
PATIENT_S = 20.0
# What was smuggled behind a request that was answered is answered within this.
SETTLED_S = 0.03


@dataclass
class Connection:
    """What came on it since the last look, and how many requests of that were answered."""

    writer: asyncio.StreamWriter
    data: bytearray = field(default_factory=bytearray)
    answered: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Recorder:
    """Answers each request that it could read strictly, and breaks off at any other."""

    name: str
    port: int = 0
    switches: bool = False
    connections: list[Connection] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        one = Connection(writer)
        self.connections.append(one)
        try:
            while data := await reader.read(65_536):
                one.data += data
                whole = [each for each in requests_in(bytes(one.data))[0] if each.whole]
                for each in whole[one.answered :]:
                    writer.write(self._answer(each))
                one.answered = len(whole)
        except (AmbiguousError, ConnectionError):
            pass
        finally:
            writer.close()
            one.over.set()

    def _answer(self, one: Request) -> bytes:
        wanted = one.values("upgrade")
        if self.switches and wanted:
            return SWITCHED % wanted[0].encode("latin-1")
        return ANSWER[:-2] if one.line.startswith("HEAD ") else ANSWER

    def take(self) -> tuple[list[Request], list[str]]:
        """What arrived since the last time, and what was wrong with it."""
        requests: list[Request] = []
        faults: list[str] = []
        for one in self.connections:
            try:
                found, rest = requests_in(bytes(one.data))
            except AmbiguousError as error:
                faults.append(str(error))
            else:
                requests += found
                faults += [f"after the requests came {rest[:200]!r}"] if rest else []
            # A connection that stays open begins anew.
            one.data.clear()
            one.answered = 0
        return requests, faults


@asynccontextmanager
async def recorder(name: str, *, switches: bool = False) -> AsyncIterator[Recorder]:
    """One that listens until the end of the block."""
    one = Recorder(name, switches=switches)
    server = await asyncio.start_server(one.handle, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        for connection in one.connections:
            connection.writer.transport.abort()
            await connection.over.wait()


async def said(port: int, *pieces: bytes, silent_s: float = SILENT_S) -> bytes:
    """All that a server answers to these pieces on one connection, until it ends or falls silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        for piece in pieces:
            writer.write(piece)
            answer += await _until_quiet(reader, silent_s)
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
    return answer


def _whole(answer: bytes) -> bool:
    """Whether an answer is there up to its last byte; of a length that nobody named its head is enough."""
    head, end, body = answer.rpartition(b"\r\n\r\n")
    length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
    return bool(end) and (not length or len(body) >= int(length[1]))


async def _until_quiet(reader: asyncio.StreamReader, silent_s: float) -> bytes:
    answer = b""
    while True:
        try:
            # A head alone is no answer yet: a proxy that is busy may send what belongs to it much later.
            async with asyncio.timeout(SETTLED_S if _whole(answer) else silent_s):
                piece = await reader.read(65_536)
        except (TimeoutError, ConnectionError):
            return answer
        if not piece:
            return answer
        answer += piece
