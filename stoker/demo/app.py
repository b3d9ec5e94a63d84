"""The sample app: an HTTP server that carries a known rate and no more, as a slow real app would.

Run as a script, with the standard library alone, so that it starts in a tenth of a second.
`/up` health, `/slow?s=3` an answer that takes its time, POST echoes its body, a websocket echoes its messages.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import signal
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

WEBSOCKET_KEY_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
CLOSE, PING, PONG = 0x8, 0x9, 0xA
LARGEST_BODY = 64 * 2**20
LONGEST_S = 60.0
PAGE = """<!doctype html><meta charset="utf-8"><title>{name}</title>
<style>body{{font:1.2rem/1.5 system-ui;margin:20vh auto;max-width:32rem;text-align:center}}b{{font-size:3rem}}</style>
<p><b>{name}</b><p>answered this request, its number {count}.<br>It carries {rate:g} requests a second.</p>
"""


@dataclass(frozen=True, slots=True)
class Request:
    """One request's head and body. Header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection stays open after the answer."""
        return self.headers.get("connection", "").lower() != "close"


@dataclass(slots=True)
class App:
    """One instance. Requests take turns, `rate` a second; those that come faster wait."""

    name: str
    rate: float
    served: int = 0
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    _free_at: float = 0.0
    _busy: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, address: str, port: int) -> None:
        """Serve until `ending` is set, then let what is under way finish."""
        server = await asyncio.start_server(self._converse, address, port, limit=2**17)
        await self.ending.wait()
        server.close()
        if self._busy:
            await self._idle.wait()

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        self._free_at = max(loop.time(), self._free_at) + 1 / self.rate
        await asyncio.sleep(self._free_at - loop.time())

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                self._busy += 1
                self._idle.clear()
                try:
                    stays = await self._answer(request, reader, writer)
                finally:
                    self._busy -= 1
                    if not self._busy:
                        self._idle.set()
                if not stays or self.ending.is_set():
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # the client is gone, or does not speak HTTP: only its own connection ends
        finally:
            writer.close()

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        url = urlsplit(request.target)
        if url.path == "/up":
            return await self._send(request, writer, b"ok\n")
        await self._turn()
        self.served += 1
        if request.headers.get("upgrade", "").lower() == "websocket":
            await self._echo_messages(request, reader, writer)
            return False
        if url.path == "/slow":
            await asyncio.sleep(min(float(parse_qs(url.query).get("s", ["3"])[0]), LONGEST_S))
        if request.method == "POST":
            return await self._send(request, writer, request.body)
        page = PAGE.format(name=self.name, count=self.served, rate=self.rate)
        return await self._send(request, writer, page.encode(), "text/html")

    async def _send(
        self, request: Request, writer: asyncio.StreamWriter, body: bytes, kind: str = "application/octet-stream"
    ) -> bool:
        stays = request.keeps_alive and not self.ending.is_set()
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nX-Instance: {self.name}\r\n"
            f"Connection: {'keep-alive' if stays else 'close'}\r\n\r\n"
        )
        writer.write(head.encode() + (b"" if request.method == "HEAD" else body))
        await writer.drain()
        return stays

    async def _echo_messages(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        key = request.headers.get("sec-websocket-key", "") + WEBSOCKET_KEY_SUFFIX
        accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
        writer.write(
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\nX-Instance: {self.name}\r\n\r\n".encode()
        )
        while True:
            kind, message = await read_frame(reader)
            writer.write(frame(PONG if kind == PING else kind, message))
            await writer.drain()
            if kind == CLOSE:
                return


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection, or None at its end. Raises ValueError for what is not HTTP."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    fields = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Request(method, target, headers, await _read_chunks(reader))
    length = min(int(headers.get("content-length", "0")), LARGEST_BODY)
    return Request(method, target, headers, await reader.readexactly(length))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        if len(body) + size > LARGEST_BODY:
            raise ValueError("the body is too large")
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return bytes(body)


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The opcode and the unmasked payload of one frame of RFC 6455, section 5.2."""
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size >= 126:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    mask = await reader.readexactly(4) if second & 0x80 else b"\0\0\0\0"
    payload = await reader.readexactly(min(size, LARGEST_BODY))
    return first & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def frame(opcode: int, payload: bytes, mask: bytes = b"") -> bytes:
    """One final frame; a client's must be masked by four bytes."""
    flag, size = 0x80 if mask else 0, len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, flag | size])
    elif size < 2**16:
        head = bytes([0x80 | opcode, flag | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | opcode, flag | 127]) + size.to_bytes(8, "big")
    return head + mask + (bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)) if mask else payload)


async def serve(name: str, address: str, port: int, rate: float) -> None:
    """Run one instance until SIGTERM or SIGINT."""
    app = App(name, rate)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, app.ending.set)
    await app.run(address, port)


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description="A web app that carries a known rate.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--name", default="app")
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second")
    given = parser.parse_args()
    asyncio.run(serve(given.name, given.address, given.port, given.rate))


if __name__ == "__main__":
    main()
