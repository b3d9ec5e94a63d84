"""A backend whose answers a test scripts: plain sockets, so that it can also break off in the middle."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Asked:
    """One request as it arrived."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    at_s: float = field(default_factory=monotonic)

    def header(self, name: str) -> str | None:
        """The values of a header, joined; None without it."""
        values = [value for key, value in self.headers if key.lower() == name]
        return ", ".join(values) if values else None


@dataclass
class Backend:
    """Answers `/` with its name; `/wait` waits for `go`; the other paths are in `_answer`."""

    name: str
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    connections: dict[asyncio.StreamWriter, asyncio.Event] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        over = self.connections[writer] = asyncio.Event()
        try:
            while (asked := await self._read(reader)) is not None:
                await self._answer(asked, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.gone.set()
            writer.close()
            over.set()

    async def _read(self, reader: asyncio.StreamReader) -> Asked | None:
        head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
        if not head:
            return None
        line, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        asked = Asked(line, [tuple(each.split(": ", 1)) for each in rest])  # type: ignore[misc]
        self.asked.append(asked)
        self.arrived.set()
        if length := asked.header("content-length"):
            asked.body = await reader.readexactly(int(length))
        elif asked.header("transfer-encoding"):
            while size := int(await reader.readline(), 16):
                asked.body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        return asked

    async def _answer(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match asked.line.split()[1].partition("?")[0]:
            case "/wait":
                await self.go.wait()
                writer.write(self._plain(asked))
            case "/drop":
                raise ConnectionResetError
            case "/half":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 70_000)
                await writer.drain()
                await self.go.wait()
                raise ConnectionResetError
            case "/events":
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                )
                writer.write(b"9\r\ndata: 1\n\n\r\n")
                await self.go.wait()
                writer.write(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")
            case "/bad":
                writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
            case "/socket":
                await self._socket(asked, reader, writer)
            case _:
                writer.write(self._plain(asked))
        await writer.drain()

    def _plain(self, asked: Asked) -> bytes:
        body = b"" if asked.line.startswith("HEAD") else self.name.encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(self.name), body)

    async def _socket(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        key = (asked.header("sec-websocket-key") or "").encode()
        accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET, usedforsecurity=False).digest()).decode()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept.encode()
        )
        while True:
            head = await reader.readexactly(2)
            mask = await reader.readexactly(4)
            data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(await reader.readexactly(head[1] & 0x7F)))
            writer.write(bytes([head[0], len(data)]) + data)
            await writer.drain()
            if head[0] & 0x0F == 8:
                raise ConnectionResetError


@asynccontextmanager
async def backend(name: str, port: int = 0) -> AsyncIterator[Backend]:
    """One that listens until the end of the block."""
    scripted = Backend(name)
    server = await asyncio.start_server(scripted.handle, "127.0.0.1", port)
    scripted.port = server.sockets[0].getsockname()[1]
    try:
        yield scripted
    finally:
        server.close()
        scripted.go.set()
        for writer, over in scripted.connections.items():
            writer.transport.abort()
            await over.wait()
