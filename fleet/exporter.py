"""A part's window for monitoring: /metrics, /healthz and /readyz over HTTP, from a thread of its own."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from importlib import metadata
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from prometheus_client import ProcessCollector
from prometheus_client.core import GaugeMetricFamily

from fleet.exposition import CONTENT_TYPE, Column, exposition
from fleet.small_server import SmallHandler, Words, listening

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

    from fleet.settings import Settings

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
    window = Window(part, source, labels, _is_loopback(address), _version())
    words = Words("metrics", "a scrape", f"set another metrics.{part}_port")
    with listening(address, port, partial(_Handler, window), words, say):
        yield


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


class _Handler(SmallHandler):
    def __init__(self, window: Window, *request: Any) -> None:  # noqa: ANN401  # as the server gives it
        self.window = window
        super().__init__(*request)

    def do_GET(self) -> None:  # noqa: N802  # the name the library calls
        """Answer, and close."""
        answer = self.window.answer(self.path, self.headers.get("Host", ""))
        self.send_response_only(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_HEAD = do_GET  # noqa: N815
