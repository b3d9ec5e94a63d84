"""The way of one party to the server: a relay that can be cut and slowed."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

CHUNK = 2**16


@dataclass(slots=True)
class Link:
    """Listens on a port of loopback. Cut, it accepts and says nothing, as a network does that drops packets."""

    to_port: int
    port: int = 0
    delay_s: float = 0.0
    is_cut: bool = False
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _whole: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> None:
        self._whole.set()
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        self.is_cut = True
        self._whole.clear()

    def mend(self) -> None:
        """What was sent meanwhile is lost with its connections."""
        self.is_cut = False
        self._drop()
        self._whole.set()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._drop()

    def _drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._whole.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self.to_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(back)
        # The end of the run cancels this; the stream's own callback would tell it as an error.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(self._pump(reader, back, slow=False), self._pump(there, writer, slow=True))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._whole.wait()
                if slow and self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(data)
                await writer.drain()
        writer.close()
        self._writers.discard(writer)
