"""One HTTP client of a load: raw connections, kept or new, and never a second try."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from enum import StrEnum

from stoker.demo.app import CLOSE, frame, read_frame

TEXT = 0x1
WEBSOCKET_KEY = "c3Rva2VyIHNhbXBsZSBsb2Fk"
MESSAGES = 3


class Kind(StrEnum):
    """What a request is; each opens a connection of its own but `KEPT`, which takes an idle one where there is one."""

    KEPT = "kept alive"
    NEW = "new connection"
    POST = "POST"
    SLOW = "slow answer"
    WEBSOCKET = "websocket"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `served_by` is the instance that said so."""

    status: int
    headers: dict[str, str]
    body: bytes = b""

    @property
    def served_by(self) -> str:
        """The instance that answered, "" where it does not say."""
        return self.headers.get("x-instance", "")


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class Client:
    """Sends requests to one address."""

    address: str
    port: int
    slow_s: float = 3.0
    body: bytes = field(default_factory=lambda: os.urandom(2000))
    _idle: list[Connection] = field(default_factory=list)

    async def send(self, kind: Kind) -> Answer:
        """One request and its whole answer.

        Raises OSError, EOFError or ValueError where there is none, or another than a client may expect.
        """
        reader, writer = connection = await self._connection(kind)
        try:
            if kind is Kind.WEBSOCKET:
                return await self._talk(reader, writer)
            writer.write(self._text(kind))
            answer = await _read_answer(reader)
            if answer.status != 200 or (kind is Kind.POST and answer.body != self.body):
                raise ValueError(f"answer {answer.status} of {len(answer.body)} bytes")
            if kind is Kind.KEPT and answer.headers.get("connection", "").lower() != "close":
                self._idle.append(connection)
        finally:
            if connection not in self._idle:
                writer.close()
        return answer

    def close(self) -> None:
        """Close the idle connections."""
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()

    async def _connection(self, kind: Kind) -> Connection:
        while kind is Kind.KEPT and self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self.address, self.port)

    def _text(self, kind: Kind) -> bytes:
        host = f"Host: {self.address}:{self.port}\r\n"
        match kind:
            case Kind.POST:
                return f"POST /echo HTTP/1.1\r\n{host}Content-Length: {len(self.body)}\r\n\r\n".encode() + self.body
            case Kind.SLOW:
                return f"GET /slow?s={self.slow_s:g} HTTP/1.1\r\n{host}\r\n".encode()
            case Kind.KEPT:
                return f"GET / HTTP/1.1\r\n{host}\r\n".encode()
            case _:
                return f"GET / HTTP/1.1\r\n{host}Connection: close\r\n\r\n".encode()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
        writer.write(
            f"GET /talk HTTP/1.1\r\nHost: {self.address}:{self.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {WEBSOCKET_KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = await _read_answer(reader)
        if answer.status != 101:
            raise ValueError(f"answer {answer.status}")
        for number in range(MESSAGES):
            text = f"message {number}".encode()
            writer.write(frame(TEXT, text, os.urandom(4)))
            if await read_frame(reader) != (TEXT, text):
                raise ValueError("another message came back than was sent")
            await asyncio.sleep(self.slow_s / MESSAGES)
        writer.write(frame(CLOSE, (1000).to_bytes(2, "big"), os.urandom(4)))
        opcode, _ = await read_frame(reader)
        if opcode != CLOSE:
            raise ValueError(f"frame {opcode} instead of a close")
        return answer


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(first.split(" ")[1])
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    if status == 101:
        return Answer(status, headers)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return Answer(status, headers, body)
    if "content-length" in headers:
        return Answer(status, headers, await reader.readexactly(int(headers["content-length"])))
    return Answer(status, headers, await reader.read())
