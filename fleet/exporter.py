"""A part's window for monitoring: /metrics, /healthz and /readyz over HTTP, from a thread of its own."""

from __future__ import annotations

import ipaddress
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from prometheus_client import ProcessCollector
from prometheus_client.core import GaugeMetricFamily

from fleet.exposition import CONTENT_TYPE, Column, exposition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

    from fleet.settings import Settings

CLIENT_TIMEOUT_S = 5.0
CLOSING_S = 1.0
MOST_AT_ONCE = 16
PLAIN = "text/plain; charset=utf-8"
PATHS = "/metrics, /healthz and /readyz"


@dataclass(frozen=True, slots=True)
class Health:
    """Whether it is so, and why, in one line."""

    good: bool
    why: str


class Source(Protocol):
    """A part that can be asked, from any thread, at any time."""

    def collect(self) -> Iterable[Metric | Column]:
        """What it knows now; nothing is prepared while nobody asks."""

    def health(self) -> Health:
        """Whether its loop turns."""

    def readiness(self) -> Health:
        """Whether it can do its work now."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets."""

    status: HTTPStatus
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Window:
    """Answers by path. `labels` stand on every series, `part` tells what kind of process it is."""

    part: str
    source: Source
    labels: Mapping[str, str]
    local: bool
    version: str = ""
    _process: ProcessCollector = field(default_factory=lambda: ProcessCollector(registry=None))

    def answer(self, target: str, host: str) -> Answer:
        """The answer to a GET of `target` with this Host header."""
        if self.local and not is_local_name(host):
            return _plain(HTTPStatus.MISDIRECTED_REQUEST, "ask by this machine's address, or by localhost")
        match urlsplit(target).path:
            case "/metrics":
                return Answer(HTTPStatus.OK, CONTENT_TYPE, exposition(self._metrics(), self.labels))
            case "/healthz":
                return _verdict(self.source.health())
            case "/readyz":
                return _verdict(self.source.readiness())
            case _:
                return _plain(HTTPStatus.NOT_FOUND, f"here are {PATHS}")

    def _metrics(self) -> Iterator[Metric | Column]:
        build = GaugeMetricFamily("stoker_build_info", "Always 1; which part this is.", labels=("part", "version"))
        build.add_metric((self.part, self.version), 1)
        yield build
        yield from self.source.collect()
        yield from self._process.collect()


def is_local_name(host: str) -> bool:
    """Whether a Host header is an address or localhost.

    A page of a stranger can make a name of its own mean this machine (DNS rebinding), but its browser sends that name.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return not host or name == "localhost" or bool(ipaddress.ip_address(name))
    except ValueError:
        return False


@contextmanager
def exporting(
    settings: Settings, part: str, port: int | None, source: Source, say: Callable[[str], None]
) -> Iterator[None]:
    """Listen until the end of the block, unless `port` is None. Where that cannot be, one line says so."""
    address = settings.metrics.listen_address
    labels = {"fleet": settings.fleet, "app": settings.app}
    if port is None:
        yield
        return
    try:
        server = _Server(address, port, Window(part, source, labels, _is_loopback(address), _version()), say)
    except OSError as error:
        say(f"no metrics: {address}:{port} cannot be listened on: {error.strerror}; set another metrics.{part}_port")
        yield
        return
    thread = threading.Thread(target=server.run, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.end()
        thread.join(CLOSING_S)


def _is_loopback(address: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(address).is_loopback
    return address == "localhost"


def _version() -> str:
    try:
        return metadata.version("stoker")
    except metadata.PackageNotFoundError:
        return "unknown"  # a plain checkout


def _verdict(health: Health) -> Answer:
    return _plain(HTTPStatus.OK if health.good else HTTPStatus.SERVICE_UNAVAILABLE, health.why)


def _plain(status: HTTPStatus, words: str) -> Answer:
    return Answer(status, PLAIN, f"{words}\n".encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: str, port: int, window: Window, say: Callable[[str], None]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.window = window
        self._say = say
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._over = threading.Event()
        super().__init__((address, port), _Handler)

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
        with suppress(OSError):
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
            self._say(f"a scrape was not answered: {error!r}")


class _Handler(BaseHTTPRequestHandler):
    timeout = CLIENT_TIMEOUT_S
    server: _Server

    def do_GET(self) -> None:  # the library's name
        """Answer, and close."""
        answer = self.server.window.answer(self.path, self.headers.get("Host", ""))
        self.send_response_only(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401
        """Nothing is told of a scrape."""
