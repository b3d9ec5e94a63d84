"""A backend that fails some requests by chance, and never /up: python failing_backend.py PORT PER_CENT."""

import asyncio
import sys
from random import random

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"
BAD = b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"


async def main(port: int, rate: float) -> None:
    """Serve until it is killed."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            up = head.startswith(b"GET /up ")
            writer.write(BAD if not up and random() < rate else GOOD)  # a benchmark

    async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(whole, "0.0.0.0", port)  # inside its container
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) / 100))
