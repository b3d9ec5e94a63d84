"""The app behind the chaos: the sample app, which also writes down what it got and when, and can be told to misbehave.

RECORD names the folder of its records. Each line: what happened, the request's number, the machine's monotonic clock.
Files in RECORD change what instances do: `outage` (every probe is answered 503), `mute.NAME` (accepts, never answers).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from stoker.demo.app import App, Request

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

NUMBER = "x-number"


@dataclass
class Recording(App):
    """`note` writes one line at once: what a killed process did not write did not happen."""

    folder: Path = field(default_factory=lambda: Path(os.environ["RECORD"]))
    file: int = -1

    def note(self, what: str, number: str = "-") -> None:
        os.write(self.file, f"{what} {number} {time.monotonic():.4f}\n".encode())

    async def _answer(self, request: Request, reader: StreamReader, writer: StreamWriter) -> bool:
        if request.target == "/up":
            if (self.folder / f"mute.{self.name}").exists():
                await asyncio.Event().wait()
            if (self.folder / "outage").exists():
                writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return False
            return await super()._answer(request, reader, writer)
        number = request.headers.get(NUMBER, "?")
        self.note("begin", number)
        if (self.folder / f"mute.{self.name}").exists():
            await asyncio.Event().wait()
        try:
            return await super()._answer(request, reader, writer)
        finally:
            self.note("end", number)


async def serve(name: str, port: int, rate: float, boot_s: float) -> None:
    """Run one instance until SIGTERM."""
    folder = Path(os.environ["RECORD"])
    app = Recording(name, rate)
    app.file = os.open(folder / f"{name}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    app.note(f"boot {os.getpid()}")

    def end() -> None:
        app.note("term")
        app.ending.set()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    await asyncio.sleep(boot_s)
    await app.run("127.0.0.1", port)
    app.note("left")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--boot", type=float, default=0.3)
    given = parser.parse_args()
    asyncio.run(serve(given.name, given.port, given.rate, given.boot))


if __name__ == "__main__":
    main()
