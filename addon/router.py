"""The hooks of a request's life: where it goes, what is forwarded, what is streamed, when it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from addon.access import Tally
from addon.answer import mismatched, refusal, unavailable
from addon.forward import is_large
from fleet.canary_cookie import set_cookie, side_of, value_of
from fleet.crash import Symptom

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from mitmproxy.connection import Client
    from mitmproxy.http import HTTPFlow, Response

    from addon.capture import Capture
    from addon.counter import Token, Upstream
    from addon.options import Configuration
    from addon.plane import Plane

# How mitmproxy words an error that the client caused; all other broken answers are the backend's.
BY_CLIENT = ("Client disconnected", "stream reset by client", "Connection killed")
NOWHERE = ("nowhere.invalid", 1)


class Router:
    """Routes in `requestheaders`, because the connection for a streamed body is opened before `request`."""

    def __init__(self, configuration: Configuration, capture: Capture) -> None:
        self._configuration = configuration
        self._capture = capture

    def requestheaders(self, flow: HTTPFlow) -> Awaitable[None] | None:
        """Choose the backend. What is returned is awaited; it is None unless the request is held."""
        if flow.error is not None:
            return None
        answer = refusal(flow.request.data, http2=flow.client_conn.alpn == b"h2")
        plane = self._configuration.plane
        if answer is not None:
            _refuse(flow, answer)
            if plane.witness is not None:
                plane.witness.refused(flow, answer.status_code)
            return None
        token = plane.arrive(flow.client_conn.id)
        if plane.witness is not None:
            token.flow = flow
        flow.metadata[plane.key] = token
        if plane.roster.mark:
            token.side = side_of(_cookies(flow), plane.roster.mark)
        upstream = plane.choose(token)
        if upstream is None:
            return _hold(plane, flow, token)
        _send(plane, flow, upstream)
        return None

    def request(self, flow: HTTPFlow) -> None:
        """The body has come, or was streamed to its end: say of an HTTP/2 one what an HTTP/1 backend must know."""
        data = flow.request.data
        if data.http_version != b"HTTP/2.0":
            return
        # mitmproxy has no way to send them.
        data.trailers = None
        if data.content is None or flow.response is not None:
            return
        length = data.headers.get("content-length")
        if length is None:
            # There was no body: a streamed one has no content here.
            data.headers.pop("transfer-encoding", None)
        elif int(length) != len(data.content):
            flow.response = mismatched(data)

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Stream the answer unless it is small; the request leaves its step of held ones."""
        plane = self._configuration.plane
        token = flow.metadata.get(plane.key)
        if token is None or flow.response is None:
            return
        plane.answering(token)
        if plane.roster.mark and token.side is None and token.upstream is not None:
            _stick(flow, value_of(plane.roster.mark, canary=token.upstream.canary))
        fields = flow.response.headers.fields
        if is_large(fields, unknown=True):
            flow.response.stream = plane.witness is None or Tally()
        if plane.draining:
            flow.response.headers["connection"] = "close"

    def response(self, flow: HTTPFlow) -> None:
        """The answer is complete, unless a websocket or another protocol goes on from here."""
        if flow.response is not None and (status := flow.response.status_code) != 101:
            self._end(flow, status=status, symptom=Symptom.STATUS if status >= 500 else None)

    def error(self, flow: HTTPFlow) -> None:
        """The request ends without a complete answer."""
        message = flow.error.msg if flow.error else ""
        if message.startswith(BY_CLIENT) or not flow.client_conn.connected:
            self._end(flow, status=0)
        else:
            self._end(flow, status=502, symptom=Symptom.BROKEN if flow.response else Symptom.ABORTED)

    def websocket_message(self, flow: HTTPFlow) -> None:
        """Keep the newest message only; mitmproxy would keep all of them for as long as the connection lasts."""
        if flow.websocket is not None:
            del flow.websocket.messages[:-1]

    def websocket_end(self, flow: HTTPFlow) -> None:
        """The websocket is closed."""
        self._end(flow, status=101)

    def client_disconnected(self, client: Client) -> None:
        """Whatever this client had under way has ended, also what no other hook tells of."""
        self._configuration.plane.client_gone(client.id)

    def _end(self, flow: HTTPFlow, *, status: int, symptom: Symptom | None = None) -> None:
        plane = self._configuration.plane
        token = flow.metadata.pop(plane.key, None)
        if token is not None:
            if symptom is not None and token.upstream is not None:
                self._capture.failed(flow, token, symptom)
            plane.end(token, status=status, broken=symptom in (Symptom.ABORTED, Symptom.BROKEN))


async def _hold(plane: Plane, flow: HTTPFlow, token: Token) -> None:
    upstream = await plane.wait(token)
    if upstream is None:
        _refuse(flow, unavailable(flow.request.data))
    else:
        _send(plane, flow, upstream)


def _send(plane: Plane, flow: HTTPFlow, upstream: Upstream) -> None:
    request, client = flow.request, flow.client_conn
    data = request.data
    # Through `data`, because `request.host` would rewrite the Host header.
    data.host, data.port = upstream.address
    if data.authority and not request.is_http2:
        data.authority = b""
    if request.is_http2 and "content-length" not in data.headers:
        # mitmproxy would write a body of unknown length as it is, and its bytes would be the backend's next request.
        data.headers["transfer-encoding"] = "chunked"
        request.stream = _chunks
    else:
        request.stream = is_large(data.headers.fields) and (plane.witness is None or Tally())
    plane.forwarder.rewrite(data, client.peername[0], b"https" if client.tls_established else b"http")


def _chunks(data: bytes) -> Iterable[bytes]:
    """What came, without empty pieces: mitmproxy writes one as the chunk that ends the body."""
    return (data,) if data else ()


def _cookies(flow: HTTPFlow) -> bytes:
    return b";".join(value for name, value in flow.request.data.headers.fields if name.lower() == b"cookie")


def _stick(flow: HTTPFlow, value: str) -> None:
    """Keep the client with the set that it met."""
    if flow.response is not None:
        flow.response.headers.add("set-cookie", set_cookie(value, secure=flow.client_conn.tls_established))


def _refuse(flow: HTTPFlow, answer: Response) -> None:
    """Answer, or, where the body would have to be read into memory first, break off."""
    if is_large(flow.request.data.headers.fields):
        flow.request.stream = True
        flow.request.data.host, flow.request.data.port = NOWHERE
    else:
        flow.response = answer
