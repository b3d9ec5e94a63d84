from __future__ import annotations

import asyncio
import errno
import queue
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from scaler.actuators.probe import Prober, ask, probe_once, question
from scaler.messages import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def answering(*pieces: bytes, hang: bool = False) -> Iterator[str]:
    """A server that reads a request, sends the pieces and closes; or, with `hang`, keeps the connection open."""
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.recv(4096)
                for piece in pieces:
                    connection.sendall(piece)
                if hang:
                    held.append(connection)
                else:
                    connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for one in [listener, *held]:
            one.close()


def asked(url: str, timeout_s: float = 30.0) -> tuple[Outcome, str]:
    return asyncio.run(ask(question(url, "/up"), timeout_s))


@pytest.mark.parametrize("status", [b"200 OK", b"204 No Content", b"299 Odd"])
def test_any_2xx_is_ready(status: bytes) -> None:
    with answering(b"HTTP/1.1 " + status + b"\r\n\r\n") as url:
        assert asked(url) == (Outcome.READY, "")


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_redirect_is_not_followed_and_any_other_status_is_bad(status: int) -> None:
    with answering(f"HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:1/\r\n\r\n".encode()) as url:
        assert asked(url) == (Outcome.BAD, f"status {status}")


def test_an_interim_answer_is_passed_over() -> None:
    with answering(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 20", b"0 OK\r\n\r\n") as url:
        assert asked(url) == (Outcome.READY, "")


def test_a_status_in_small_pieces_is_put_together() -> None:
    with answering(b"HTTP", b"/1.0 2", b"00", b" OK\r\n") as url:
        assert asked(url) == (Outcome.READY, "")


def test_a_body_without_end_is_not_read() -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nab", hang=True) as url:
        assert asked(url) == (Outcome.READY, "")


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"", "closed without an answer"),
        (b"SSH-2.0-x\r\n", "not an HTTP answer: 'SSH-2.0-x'"),
        (b"HTTP/1.1 999 X\r\n\r\n", "not an HTTP answer: 'HTTP/1.1 999 X'"),
        (b"\0" * 9000, "not an HTTP answer: ''"),
    ],
)
def test_what_is_not_http_is_bad(answer: bytes, detail: str) -> None:
    with answering(answer) as url:
        assert asked(url) == (Outcome.BAD, detail)


def test_silence_times_out() -> None:
    with answering(hang=True) as url:
        assert asked(url, timeout_s=0.05) == (Outcome.TIMED_OUT, "no answer within 0.05 s")


def test_nobody_listening_is_refused() -> None:
    with answering() as url:
        pass
    assert asked(url) == (Outcome.REFUSED, "connection refused")


def test_the_request_names_the_path_and_the_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard: list[bytes] = []

        def serve() -> None:
            with listener.accept()[0] as connection:
                heard.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        asked(f"http://{address}")
        thread.join()
    lines = heard[0].decode().split("\r\n")
    assert lines[0] == "GET /up HTTP/1.1"
    assert f"Host: {address}" in lines
    assert "Connection: close" in lines


def test_a_survey_asks_all_at_once() -> None:
    with answering(hang=True) as silent, answering(b"HTTP/1.1 200 OK\r\n\r\n") as ready:
        began = time.monotonic()
        outcomes = probe_once({f"web{n}": silent for n in range(20)} | {"web20": ready}, "/up", 2.0)
        took = time.monotonic() - began
    assert outcomes == {f"web{n}": Outcome.TIMED_OUT for n in range(20)} | {"web20": Outcome.READY}
    assert took < 20.0


class Reports:
    def __init__(self) -> None:
        self.queue: queue.Queue[tuple[str, Outcome]] = queue.Queue()

    def __call__(self, name: str, outcome: Outcome, detail: str) -> None:
        del detail
        self.queue.put((name, outcome))

    def until(self, wanted: tuple[str, Outcome]) -> None:
        while self.queue.get(timeout=30) != wanted:
            pass

    def drain(self) -> set[str]:
        names = set()
        while not self.queue.empty():
            names.add(self.queue.get()[0])
        return names


def test_the_prober_probes_exactly_its_targets_again_and_again() -> None:
    reports = Reports()
    prober = Prober("/up", 1.0, reports)
    with answering(b"HTTP/1.1 200 OK\r\n\r\n") as ready, answering(b"HTTP/1.1 500 X\r\n\r\n") as bad:
        prober.set_targets([("web1", ready, 0.01)])
        prober.start()
        for _ in range(3):
            reports.until(("web1", Outcome.READY))
        prober.set_targets([("web2", bad, 0.01)])
        reports.until(("web2", Outcome.BAD))
        reports.drain()
        reports.until(("web2", Outcome.BAD))
        assert reports.drain() <= {"web2"}
        prober.close()


def test_long_periods_begin_spread_over_the_period(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: queue.Queue[float] = queue.Queue()

    async def sleep(seconds: float) -> None:
        waits.put(seconds)
        await asyncio.Event().wait()

    monkeypatch.setattr("scaler.actuators.probe.asyncio.sleep", sleep)
    prober = Prober("/up", 1.0, Reports())
    prober.set_targets([(f"web{n}", "http://127.0.0.1:1", 2.0) for n in range(1, 11)])
    prober.start()
    moments = sorted(waits.get(timeout=30) for _ in range(10))
    prober.close()
    assert max(after - before for before, after in zip([0.0, *moments], [*moments, 2.0], strict=True)) < 0.4


def test_a_connection_that_takes_its_time_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(socket.socket):
        early = True

        def send(self, *_: object) -> int:
            if self.early:
                self.early = False
                raise BlockingIOError(errno.EAGAIN, "not connected yet")
            return super().send(*_)  # type: ignore[arg-type]  # handed on as it came

    with answering(b"HTTP/1.1 200 OK\r\n\r\n") as url:
        monkeypatch.setattr("scaler.actuators.probe.socket.socket", Slow)
        assert asked(url) == (Outcome.READY, "")


def test_a_network_that_is_not_there_is_said_so() -> None:
    assert asked("http://255.255.255.255:9") == (Outcome.BAD, "Network is unreachable")
