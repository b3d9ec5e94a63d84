from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest
from mitmproxy.flow import Error
from mitmproxy.http import Headers, HTTPFlow
from mitmproxy.test import tflow, tutils

from addon.capture import Capture
from addon.options import Configuration
from addon.plane import Plane
from addon.router import Router
from fleet.crash import Symptom
from fleet.settings import load
from tests.addon.snapshots import snapshot

if TYPE_CHECKING:
    from addon.counter import Token


class Seen(Capture):
    """Remembers the failures that it is told of."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__(configuration)
        self.failures: list[tuple[str, Symptom]] = []

    def failed(self, flow: HTTPFlow, token: Token, symptom: Symptom) -> None:
        del flow
        assert token.upstream is not None
        self.failures.append((token.upstream.name, symptom))


class Scene:
    """The router over one serving backend."""

    def __init__(self) -> None:
        configuration = Configuration()
        self.plane = configuration.plane = Plane(load(None, **{"proxy.hold_max": 0}), "proxy")
        self.capture = Seen(configuration)
        self.router = Router(configuration, self.capture)
        self.plane.apply(snapshot(a1=8001))

    def request(self, *fields: tuple[bytes, bytes], path: str = "/", method: str = "GET") -> HTTPFlow:
        flow = tflow.tflow()
        flow.request.headers = Headers((*fields, (b"Host", b"app.example")))
        flow.request.path, flow.request.method = path, method
        flow.request.data.authority = b""
        return flow

    async def send(self, flow: HTTPFlow) -> HTTPFlow:
        held = self.router.requestheaders(flow)
        if held is not None:
            await held
        return flow

    @property
    def counted(self) -> tuple[int, int, int]:
        shown = self.plane.reading()
        return shown.arrivals, shown.completions, shown.in_flight


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def test_a_request_goes_to_the_backend_and_keeps_its_host(scene: Scene) -> None:
    flow = await scene.send(scene.request())
    assert (flow.request.host, flow.request.port) == ("127.0.0.1", 8001)
    assert flow.request.headers["host"] == "app.example"
    assert flow.response is None
    assert scene.counted == (1, 0, 1)


async def test_the_hook_awaits_nothing_while_a_backend_serves(scene: Scene) -> None:
    assert scene.router.requestheaders(scene.request()) is None


async def test_a_request_is_held_where_nothing_serves_and_refused_beyond_the_queue(scene: Scene) -> None:
    scene.plane.apply(snapshot(2))
    flow = scene.request()
    held = scene.router.requestheaders(flow)
    assert inspect.isawaitable(held)
    await held
    assert flow.response is not None
    assert (flow.response.status_code, flow.response.headers["retry-after"]) == (503, "2")
    scene.router.response(flow)
    assert scene.counted == (1, 1, 0)
    assert scene.plane.reading().errors_5xx == 1


@pytest.mark.parametrize(("path", "status"), [("/__stoker/x", 404), ("/a\r\nb", 400)])
async def test_what_is_never_forwarded_is_answered_and_not_counted(scene: Scene, path: str, status: int) -> None:
    flow = await scene.send(scene.request(path=path))
    assert flow.response is not None
    assert flow.response.status_code == status
    scene.router.response(flow)
    assert scene.counted == (0, 0, 0)


async def test_an_answer_to_head_has_no_body(scene: Scene) -> None:
    flow = await scene.send(scene.request(path="/__stoker/x", method="HEAD"))
    assert flow.response is not None
    assert flow.response.content == b""


async def test_what_mitmproxy_has_refused_itself_is_left_to_it(scene: Scene) -> None:
    flow = scene.request()
    flow.error = Error("malformed")
    await scene.send(flow)
    scene.router.error(flow)
    assert scene.counted == (0, 0, 0)


async def test_a_large_body_is_streamed_and_a_small_one_is_not(scene: Scene) -> None:
    assert not (await scene.send(scene.request((b"Content-Length", b"10")))).request.stream
    assert (await scene.send(scene.request((b"Transfer-Encoding", b"chunked")))).request.stream


async def test_a_large_body_that_nobody_takes_is_not_read_into_memory(scene: Scene) -> None:
    flow = await scene.send(scene.request((b"Content-Length", b"1000000"), path="/__stoker/x"))
    assert flow.request.stream
    assert flow.response is None
    assert flow.request.host == "nowhere.invalid"


@pytest.mark.parametrize(
    ("fields", "streamed"),
    [(((b"Content-Length", b"5"),), False), (((b"Content-Type", b"text/event-stream"),), True), ((), True)],
)
async def test_an_answer_is_streamed_unless_it_is_known_to_be_small(
    scene: Scene,
    fields: tuple[tuple[bytes, bytes], ...],
    streamed: bool,
) -> None:
    flow = await scene.send(scene.request())
    flow.response = tutils.tresp(headers=Headers(fields))
    scene.router.responseheaders(flow)
    assert flow.response.stream is streamed


async def test_a_draining_proxy_asks_its_clients_to_leave(scene: Scene) -> None:
    flow = await scene.send(scene.request())
    scene.plane.drain()
    flow.response = tutils.tresp()
    scene.router.responseheaders(flow)
    assert flow.response.headers["connection"] == "close"


async def test_a_websocket_ends_with_itself_and_not_with_its_handshake(scene: Scene) -> None:
    flow = await scene.send(scene.request())
    flow.response = tutils.tresp(status_code=101)
    scene.router.response(flow)
    assert scene.counted == (1, 0, 1)
    scene.router.websocket_end(flow)
    assert scene.counted == (1, 1, 0)


async def test_only_the_newest_message_of_a_websocket_is_kept(scene: Scene) -> None:
    flow = tflow.twebsocketflow()
    assert flow.websocket is not None
    newest = flow.websocket.messages[-1]
    scene.router.websocket_message(flow)
    assert flow.websocket.messages == [newest]


@pytest.mark.parametrize(
    ("message", "errors"),
    [("Client disconnected.", 0), ("stream reset by client (CANCEL)", 0), ("server closed connection", 1)],
)
async def test_an_error_is_blamed_on_whoever_caused_it(scene: Scene, message: str, errors: int) -> None:
    flow = await scene.send(scene.request())
    flow.error = Error(message)
    scene.router.error(flow)
    shown = scene.plane.reading()
    assert shown.backends is not None
    assert (shown.backends["a1"].errors, shown.in_flight, shown.completions) == (errors, 0, 1)


@pytest.mark.parametrize(
    ("answered", "error", "failures"),
    [
        (200, None, []),
        (404, None, []),
        (500, None, [("a1", Symptom.STATUS)]),
        (503, None, [("a1", Symptom.STATUS)]),
        (None, "server closed connection", [("a1", Symptom.ABORTED)]),
        (200, "peer closed connection without sending complete message body", [("a1", Symptom.BROKEN)]),
        (None, "Client disconnected.", []),
        (200, "stream reset by client (CANCEL)", []),
    ],
)
async def test_a_failure_is_what_the_backend_caused(
    scene: Scene, answered: int | None, error: str | None, failures: list[tuple[str, Symptom]]
) -> None:
    flow = await scene.send(scene.request())
    flow.response = tutils.tresp(status_code=answered) if answered else None
    if error is None:
        scene.router.response(flow)
    else:
        flow.error = Error(error)
        scene.router.error(flow)
    assert failures == scene.capture.failures


async def test_our_own_answers_are_no_failures(scene: Scene) -> None:
    scene.plane.apply(snapshot())
    flow = await scene.send(scene.request())
    assert flow.response is not None
    assert 503 == flow.response.status_code
    scene.router.response(flow)
    assert [] == scene.capture.failures


async def test_a_plane_does_not_end_what_another_one_began(scene: Scene) -> None:
    flow = await scene.send(scene.request())
    flow.response = tutils.tresp()
    Scene().router.response(flow)
    assert scene.counted == (1, 0, 1)
