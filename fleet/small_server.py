"""A small HTTP server inside a part: a few requests at once, from its own threads, and no timer while nobody asks."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLIENT_TIMEOUT_S = 5.0
CLOSING_S = 1.0
MOST_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Words:
    """How a server is spoken of: what it is for, what a request is, and what to do where its port is taken."""

    name: str
    request: str
    advice: str


class SmallHandler(BaseHTTPRequestHandler):
    """A request that waits for its client for some seconds only, and of which nothing is logged."""

    timeout = CLIENT_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401
        """Say nothing."""


@contextmanager
def listening(
    address: str, port: int, handler: Callable[..., SmallHandler], words: Words, say: Callable[[str], None]
) -> Iterator[None]:
    """Answer until the end of the block. Where that cannot be, or `handler` fails, one line says so."""
    try:
        server = _Server(address, port, handler, words, say)
    except OSError as error:
        say(f"no {words.name}: {address}:{port} cannot be listened on: {error.strerror}; {words.advice}")
        yield
        return
    thread = threading.Thread(target=server.run, name=words.name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.end()
        thread.join(CLOSING_S)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self, address: str, port: int, handler: Callable[..., SmallHandler], words: Words, say: Callable[[str], None]
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._words = words
        self._say = say
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._over = threading.Event()
        super().__init__((address, port), handler)

    def server_bind(self) -> None:
        """Without asking the name service for this machine's name, as the parent does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def run(self) -> None:
        """Wait for requests without looking up in between."""
        while not self._over.is_set():
            self.handle_request()
        self.server_close()

    def end(self) -> None:
        """From any thread; the last one to knock is ourselves."""
        self._over.set()
        with suppress(OSError):  # then a request came at this moment, and has ended the waiting as well
            socket.create_connection(self.socket.getsockname()[:2], timeout=CLOSING_S).close()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # the parent's signature
        """A thread each, but not more than a few."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Give the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002
        """Clients come and go; anything else is a fault of ours."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self._say(f"{self._words.request} was not answered: {error!r}")
