"""A load that never retries, and knows for each request what it sent, when, and what it got."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stoker.demo.app import CLOSE, frame, read_frame
from stoker.demo.client import Kind
from stoker.demo.load import moments

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER_S = 75.0
MIX = (Kind.KEPT, Kind.NEW, Kind.KEPT, Kind.POST, Kind.KEPT, Kind.NEW, Kind.KEPT, Kind.SLOW, Kind.NEW, Kind.WEBSOCKET)
BODY = os.urandom(2000)
NUMBERS = itertools.count(1)


@dataclass(slots=True)
class Sent:
    """One request. Moments are the machine's monotonic clock; `fault` "" is the answer that a client may expect."""

    number: int
    proxy: str
    kind: Kind
    sent_at: float
    reused: bool = False
    written: bool = False
    status: int = 0
    ended_at: float = 0.0
    served_by: str = ""
    fault: str = ""

    def __str__(self) -> str:
        how = ("on a kept connection" if self.reused else "on a new connection") + (
            "" if self.written else ", not sent"
        )
        return (
            f"request {self.number} ({self.kind}) to {self.proxy} {how}: {self.fault} after "
            f"{self.ended_at - self.sent_at:.2f} s"
        )


@dataclass(slots=True)
class Load:
    """Sends to one proxy by a shape: requests a second at a moment since the start."""

    proxy: str
    port: int
    slow_s: float = 2.0
    kinds: tuple[Kind, ...] = MIX
    sent: list[Sent] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _idle: list[tuple[StreamReader, StreamWriter]] = field(default_factory=list)
    _kinds: Iterator[Kind] = field(init=False)

    def __post_init__(self) -> None:
        self._kinds = itertools.cycle(self.kinds)

    @property
    def under_way(self) -> int:
        return sum(not one.ended_at for one in self.sent[-5000:])

    @property
    def failed(self) -> list[Sent]:
        return [one for one in self.sent if one.fault]

    async def run(self, shape: Callable[[float], float], seconds: float) -> None:
        """Send for that time, then wait for the last answers."""
        start = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for due in moments(shape, seconds):
                await asyncio.sleep(max(0.0, start + due - time.monotonic()))
                if self.over.is_set():
                    break
                if shape(due) > 0:
                    tasks.create_task(self.one(next(self._kinds)))
        self.close()

    async def one(self, kind: Kind) -> Sent:
        sent = Sent(next(NUMBERS), self.proxy, kind, time.monotonic())
        self.sent.append(sent)
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._exchange(sent)
        except TimeoutError:
            sent.fault = f"no answer in {ANSWER_S:g} s"
        except (OSError, EOFError, ValueError) as error:
            sent.fault = f"{type(error).__name__}: {error}"
        sent.ended_at = time.monotonic()
        return sent

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()

    async def _exchange(self, sent: Sent) -> None:
        reader, writer = connection = await self._connection(sent)
        try:
            writer.write(self._text(sent))
            sent.written = True
            status, headers = await _head(reader)
            sent.status, sent.served_by = status, headers.get("x-instance", "")
            if sent.kind is Kind.WEBSOCKET and status == 101:
                await self._talk(reader, writer)
                return
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            if status != 200 or (sent.kind is Kind.POST and body != BODY):
                raise ValueError(f"answer {status} {body[:120]!r}")
            if sent.kind is Kind.KEPT and headers.get("connection", "").lower() != "close":
                self._idle.append(connection)
        finally:
            if connection not in self._idle:
                writer.close()

    async def _connection(self, sent: Sent) -> tuple[StreamReader, StreamWriter]:
        while sent.kind is Kind.KEPT and self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and reader.exception() is None:
                sent.reused = True
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self.port)

    def _text(self, sent: Sent) -> bytes:
        common = f"HTTP/1.1\r\nHost: app.example\r\nX-Number: {sent.number}\r\n"
        match sent.kind:
            case Kind.POST:
                return f"POST /echo {common}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
            case Kind.SLOW:
                return f"GET /slow?s={self.slow_s:g} {common}\r\n".encode()
            case Kind.KEPT:
                return f"GET / {common}\r\n".encode()
            case Kind.WEBSOCKET:
                key = "Sec-WebSocket-Key: c3Rva2VyIHNhbXBsZSBsb2Fk\r\nSec-WebSocket-Version: 13\r\n"
                return f"GET /talk {common}Upgrade: websocket\r\nConnection: Upgrade\r\n{key}\r\n".encode()
            case _:
                return f"GET / {common}Connection: close\r\n\r\n".encode()

    async def _talk(self, reader: StreamReader, writer: StreamWriter) -> None:
        for _ in range(3):
            writer.write(frame(1, b"hello", os.urandom(4)))
            if await read_frame(reader) != (1, b"hello"):
                raise ValueError("another message came back than was sent")
            await asyncio.sleep(self.slow_s / 3)
        writer.write(frame(CLOSE, (1000).to_bytes(2, "big"), os.urandom(4)))
        opcode, _ = await read_frame(reader)
        if opcode != CLOSE:
            raise ValueError(f"frame {opcode} instead of a close")


async def _head(reader: StreamReader) -> tuple[int, dict[str, str]]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines if line)
    return int(first.split(" ")[1]), {name.strip().lower(): value.strip() for name, _, value in fields}
