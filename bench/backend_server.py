"""A backend for benchmarks that is never the bottleneck: answers every request head with one fixed response."""

from __future__ import annotations

import argparse
import asyncio

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world\n"


class Answer(asyncio.Protocol):
    """One connection: a response for each request head, bodies not expected."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to answer."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._pending = b""

    def data_received(self, data: bytes) -> None:
        """Answer each head that is complete."""
        self._pending += data
        heads = self._pending.count(b"\r\n\r\n")
        if heads:
            self._pending = self._pending.rpartition(b"\r\n\r\n")[2]
            self._transport.write(ANSWER * heads)


async def serve(ports: list[int]) -> None:
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Answer, "127.0.0.1", port, backlog=1024) for port in ports]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ports", nargs="+", type=int, help="ports to listen on; 0 takes a free one")
    asyncio.run(serve(parser.parse_args().ports))


if __name__ == "__main__":
    main()
