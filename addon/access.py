"""The access log of the mitmproxy plane: one JSON object for each request, once it has ended."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING

from addon.access_file import AccessFile
from addon.forward import REQUEST_HEADER
from fleet.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mitmproxy.http import HTTPFlow, Message

    from addon.counter import Token
    from addon.plane import Plane
    from fleet.settings import Settings

log = logging.getLogger(__name__)

LONGEST_PATH = 2000
LONGEST_METHOD = 40
CLOSING_S = 2.0
# What never came about, as HAProxy writes it, so that one reader understands both planes.
NEVER = -1


@dataclass(frozen=True, slots=True)
class Access:
    """A request that has ended, as it was found: made into text by the writer's thread."""

    at: float
    id: bytes
    client: str
    method: bytes
    path: bytes
    status: int
    backend: str | None
    address: tuple[str, int] | None
    bytes_in: int
    bytes_out: int
    held_s: float
    connect_s: float
    total_s: float


class Tally:
    """Lets a streamed body pass, and counts it."""

    def __init__(self) -> None:
        self.bytes = 0

    def __call__(self, data: bytes) -> bytes:
        """One piece."""
        self.bytes += len(data)
        return data


class Witness:
    """Writes down what a plane tells: each end of a request, and each request that it never took."""

    def __init__(self, file: AccessFile[Access], *, query: bool) -> None:
        self._file = file
        self._query = query
        self._clock = Clock()

    def ended(self, token: Token, status: int) -> None:
        """An observer of the plane."""
        flow, token.flow = token.flow, None
        if flow is not None:
            total_s = monotonic() - token.started_s
            upstream = token.upstream
            if upstream is None:
                self._add(flow, status, NEVER, total_s, None)
            else:
                self._add(flow, status, token.held_s, total_s, upstream.name)

    def refused(self, flow: HTTPFlow, status: int) -> None:
        """A request that this proxy answers by itself."""
        self._add(flow, status, NEVER, 0.0, None)

    def _add(self, flow: HTTPFlow, status: int, held_s: float, total_s: float, backend: str | None) -> None:
        data, response = flow.request.data, flow.response
        given = next((value for name, value in reversed(data.headers.fields) if name == REQUEST_HEADER), b"")
        path = data.path if self._query else data.path.partition(b"?")[0]
        self._file.add(
            Access(
                at=self._clock.now(),
                id=given if backend is not None else b"",
                client=flow.client_conn.peername[0],
                method=data.method[:LONGEST_METHOD],
                path=path[:LONGEST_PATH],
                status=status or NEVER,
                backend=backend,
                address=(data.host, data.port) if backend is not None else None,
                bytes_in=_length(flow.request),
                bytes_out=_length(response) if response is not None else 0,
                held_s=held_s,
                connect_s=_connect_s(flow) if backend is not None else NEVER,
                total_s=total_s,
            )
        )


@contextmanager
def witnessed(settings: Settings, plane: Plane) -> Iterator[None]:
    """Write down until the end of the block, where the settings name a file."""
    own = settings.access_log
    if own.file is None:
        yield
        return
    file = AccessFile(own.file, line, _say, rotate_size=own.rotate_size, keep=own.keep)
    witness = Witness(file, query=own.query)
    file.start()
    plane.witness = witness
    plane.observers += (witness.ended,)
    try:
        yield
    finally:
        plane.witness = None
        plane.observers = tuple(one for one in plane.observers if one != witness.ended)
        file.close(CLOSING_S)


def line(access: Access) -> str:
    """The JSON of it; whatever bytes a client sent stay inside their quotes."""
    return json.dumps(
        {
            "time": datetime.fromtimestamp(access.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "id": _text(access.id),
            "client": access.client,
            "method": _text(access.method),
            "path": _text(access.path),
            "status": access.status,
            "backend": access.backend,
            "address": f"{access.address[0]}:{access.address[1]}" if access.address else None,
            "bytes_in": access.bytes_in,
            "bytes_out": access.bytes_out,
            "held_ms": _ms(access.held_s),
            "connect_ms": _ms(access.connect_s),
            "total_ms": _ms(access.total_s),
        },
        separators=(",", ":"),
    )


def _ms(seconds: float) -> float:
    return NEVER if seconds < 0 else round(1000 * seconds, 1)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _length(message: Message) -> int:
    """Of the body; one that was streamed has been counted on its way."""
    stream = message.stream
    return stream.bytes if isinstance(stream, Tally) else len(message.raw_content or b"")


def _connect_s(flow: HTTPFlow) -> float:
    """How long the connection for this request took: 0 where an open one was used."""
    server = flow.server_conn
    began, done = server.timestamp_start, server.timestamp_tcp_setup
    if began is None or done is None:
        return NEVER
    return max(0.0, done - began) if began >= flow.request.timestamp_start else 0.0


def _say(words: str) -> None:
    log.warning("stoker: %s", words)
