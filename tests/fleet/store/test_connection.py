"""What is said of servers that cannot be reached or cannot do it, and that nobody waits long for them."""

from __future__ import annotations

import asyncio
import os
import signal
import socketserver
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from fleet.embedded import EmbeddedValkey, server_binary
from fleet.errors import StoreUnavailableError
from fleet.registry import Memory, Order, OrderKind, ProxyReading
from fleet.settings import Settings, load
from fleet.store import proxy_side, scaler_side
from fleet.store.opening import open_desk, open_noticeboard, open_registry
from tests.valkey import folder, free_port, installed, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def valkey_on(port: int, *options: str) -> Iterator[None]:
    with folder() as path:
        argv = [server_binary(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(path), "--save", "", *options]
        with serving(argv, port):
            yield


def recall(settings: Settings) -> Memory:
    registry = open_registry(settings)
    try:
        return registry.recall()
    finally:
        registry.close()


def place(settings: Settings) -> None:
    desk = open_desk(settings)
    try:
        desk.place(Order(OrderKind.AUTO))
    finally:
        desk.close()


def report(settings: Settings) -> None:
    async def once() -> None:
        board = open_noticeboard(settings)
        try:
            await board.report(ProxyReading("p1", "s", 1, 0, 0))
        finally:
            await board.aclose()

    asyncio.run(once())


CALLS = pytest.mark.parametrize("call", [recall, place, report])


@CALLS
def test_a_server_that_is_not_there(call: Callable[[Settings], object]) -> None:
    port = free_port()
    with pytest.raises(
        StoreUnavailableError, match=rf"^Redis at redis://127.0.0.1:{port}/0: unreachable: Connection refused$"
    ):
        call(load(None, redis_url=f"redis://:hunter2@127.0.0.1:{port}"))


@CALLS
def test_a_socket_that_is_not_there(call: Callable[[Settings], object], tmp_path: Path) -> None:
    with pytest.raises(
        StoreUnavailableError, match=r"^Redis at unix:///.*/none: unreachable: No such file or directory$"
    ):
        call(load(None, redis_url=f"unix://{tmp_path}/none"))


@CALLS
def test_a_server_that_never_answers_is_given_up_soon(call: Callable[[Settings], object]) -> None:
    with answering(b"") as port:
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="unreachable: Timeout"):
            call(load(None, redis_url=f"redis://127.0.0.1:{port}"))
        # It waits for a second, once; the rest is room for a busy machine.
        assert time.monotonic() - began < 5.0


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"-LOADING Valkey is loading the dataset in memory", "still loading its data"),
        (b"-NOAUTH Authentication required.", "a password is needed; set it in redis_url or redis_password_file"),
        (b"-NOPERM this user has no permissions", "this user may not do that"),
        (b"-READONLY You can't write against a read only replica.", "read-only: a replica, not the primary"),
        (b"-ERR Error running script: @user_script: 7: -READONLY You can't", "read-only: a replica, not the primary"),
        (b"-MISCONF Errors writing to the AOF file", "it cannot save to its disk and takes no writes"),
        (b"-OOM command not allowed when used memory > 'maxmemory'.", "out of memory and takes no writes"),
        (b"-MASTERDOWN Link with MASTER is down", "a replica that lost its primary"),
        (b"-ERR what a strange\tthing", "it refuses: ResponseError what a strange thing"),
        (b"HTTP/1.1 400 Bad Request", "unreachable: Protocol Error"),
    ],
)
@CALLS
def test_what_a_server_says_is_put_into_our_words(call: Callable[[Settings], object], answer: bytes, said: str) -> None:
    with answering(answer + b"\r\n") as port, pytest.raises(StoreUnavailableError) as caught:
        call(load(None, redis_url=f"redis://127.0.0.1:{port}"))
    assert f"Redis at redis://127.0.0.1:{port}/0: {said}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.live
@CALLS
def test_a_password_is_needed_and_must_be_right(call: Callable[[Settings], object], tmp_path: Path) -> None:
    port, right, wrong = free_port(), tmp_path / "right", tmp_path / "wrong"
    right.write_text("hunter2\n")
    wrong.write_text("hunter3\n")
    with valkey_on(port, "--requirepass", "hunter2"):
        with pytest.raises(StoreUnavailableError, match="a password is needed"):
            call(load(None, redis_url=f"redis://127.0.0.1:{port}"))
        with pytest.raises(StoreUnavailableError, match="wrong user or password"):
            call(load(None, redis_url=f"redis://127.0.0.1:{port}", redis_password_file=wrong))
        with pytest.raises(StoreUnavailableError, match="wrong user or password"):
            call(load(None, redis_url=f"redis://nobody:hunter2@127.0.0.1:{port}"))
        call(load(None, redis_url=f"redis://127.0.0.1:{port}", redis_password_file=right))
        call(load(None, redis_url=f"redis://:hunter2@127.0.0.1:{port}"))


@pytest.mark.live
def test_a_password_that_nobody_asked_for_is_said() -> None:
    port = free_port()
    with (
        valkey_on(port),
        pytest.raises(StoreUnavailableError, match=r"a password was sent, but the server has none"),
    ):
        recall(load(None, redis_url=f"redis://:hunter2@127.0.0.1:{port}"))


@pytest.mark.live
@pytest.mark.parametrize("call", [place, report])
def test_a_replica_takes_no_writes(call: Callable[[Settings], object]) -> None:
    port, nobody = free_port(), free_port()
    with (
        valkey_on(port, "--replicaof", f"127.0.0.1 {nobody}"),
        pytest.raises(StoreUnavailableError, match="read-only: a replica, not the primary"),
    ):
        call(load(None, redis_url=f"redis://127.0.0.1:{port}"))


@pytest.mark.live
def test_a_scaler_on_a_replica_gets_no_lease() -> None:
    port, nobody = free_port(), free_port()
    with valkey_on(port, "--replicaof", f"127.0.0.1 {nobody}"):
        registry = open_registry(load(None, redis_url=f"redis://127.0.0.1:{port}"))
        with pytest.raises(StoreUnavailableError, match="read-only: a replica, not the primary"):
            registry.acquire("a")
        registry.close()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1, signed by itself, and its key."""
    paths = tmp_path / "cert.pem", tmp_path / "key.pem"
    argv = [installed("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    argv += ["-days", "2", "-subj", "/CN=stoker", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*argv, "-out", str(paths[0]), "-keyout", str(paths[1])], check=True, capture_output=True)
    return paths


@pytest.mark.live
@CALLS
def test_tls_needs_a_certificate_that_the_authority_signed(
    call: Callable[[Settings], object], certificate: tuple[Path, Path]
) -> None:
    port, (authority, key) = free_port(), certificate
    argv = [installed("redis-server"), "--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no", "--save", ""]
    argv += ["--tls-cert-file", str(authority), "--tls-key-file", str(key), "--dir", str(authority.parent)]
    with serving(argv, port):
        call(load(None, redis_url=f"rediss://127.0.0.1:{port}", redis_ca_file=authority))
        with pytest.raises(StoreUnavailableError, match="its certificate is not signed by redis_ca_file"):
            call(load(None, redis_url=f"rediss://127.0.0.1:{port}"))
        with pytest.raises(StoreUnavailableError, match="its certificate is not signed by redis_ca_file"):
            call(load(None, redis_url=f"rediss://localhost:{port}", redis_ca_file=authority))


@pytest.mark.live
@CALLS
def test_sentinels_lead_to_the_primary(call: Callable[[Settings], object], tmp_path: Path) -> None:
    port, sentinel_port, nobody = free_port(), free_port(), free_port()
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(f"port {sentinel_port}\nsentinel monitor mine 127.0.0.1 {port} 1\ndir {tmp_path}\n")
    sentinel = [server_binary(), str(configuration), "--sentinel"]
    url = f"redis+sentinel://127.0.0.1:{nobody},127.0.0.1:{sentinel_port}"
    with valkey_on(port), serving(sentinel, sentinel_port):
        call(load(None, redis_url=f"{url}/mine"))
        with pytest.raises(StoreUnavailableError, match="unreachable: No master found for 'other'"):
            call(load(None, redis_url=f"{url}/other"))


@pytest.mark.live
async def test_the_next_call_after_a_restart_works(tmp_path: Path) -> None:
    with folder() as path:
        server = EmbeddedValkey(path)
        server.start()
        settings = load(None, redis_url=server.url, state_dir=tmp_path)
        registry, board = open_registry(settings), open_noticeboard(settings)
        registry.recall()
        await board.report(ProxyReading("p1", "s", 1, 0, 0))
        server.stop()
        for _ in range(2):
            with pytest.raises(StoreUnavailableError):
                registry.recall()
            with pytest.raises(StoreUnavailableError):
                await board.snapshot()
        with server:
            assert registry.acquire("a") is not None
            assert await board.snapshot() is None
        registry.close()
        await board.aclose()


@pytest.mark.live
async def test_listeners_end_when_the_server_does(tmp_path: Path) -> None:
    with folder() as path:
        server = EmbeddedValkey(path)
        server.start()
        settings = load(None, redis_url=server.url, state_dir=tmp_path)
        registry, board, desk = open_registry(settings), open_noticeboard(settings), open_desk(settings)
        woken = threading.Event()
        ended: list[str] = []

        def listen() -> None:
            try:
                for _ in registry.wakes():
                    woken.set()
            except StoreUnavailableError as error:
                ended.append(str(error))

        thread = threading.Thread(target=listen)
        thread.start()
        while not await asyncio.to_thread(woken.wait, 0.02):
            await board.wake()
        told = asyncio.ensure_future(anext(board.changes()))
        while not desk.client.pubsub_numsub(desk.keys.changes)[0][1]:
            await asyncio.wait([told], timeout=0.01)
        server.stop()
        with pytest.raises(StoreUnavailableError):
            await told
        await asyncio.to_thread(thread.join, 20)
        assert 1 == len(ended)
        registry.close()
        desk.close()
        await board.aclose()


@pytest.mark.live
async def test_listeners_notice_a_server_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_side, "QUIET_S", 0.05)
    monkeypatch.setattr(scaler_side, "WAKE_WAITS_PER_PING", 1)
    with folder() as path, EmbeddedValkey(path) as server:
        settings = load(None, redis_url=server.url, state_dir=tmp_path)
        registry, board = open_registry(settings), open_noticeboard(settings)
        told = asyncio.ensure_future(anext(board.changes()))
        woken = asyncio.ensure_future(asyncio.to_thread(next, registry.wakes()))
        await asyncio.wait([told, woken], timeout=0.8)
        assert not told.done()
        assert not woken.done()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            for listener in (told, woken):
                with pytest.raises(StoreUnavailableError, match="unreachable"):
                    await listener
        finally:
            os.kill(server.pid, signal.SIGCONT)
        registry.close()
        await board.aclose()


def test_without_a_url_and_without_a_server_of_our_own_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        StoreUnavailableError, match=r"redis_url is not set, and no embedded server of fleet stoker runs"
    ):
        open_desk(load(None, state_dir=tmp_path))


@contextmanager
def answering(line: bytes) -> Iterator[int]:
    """A server on loopback that gives that answer to whatever it hears; the empty one is silence."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while heard := self.request.recv(65536):
                # One answer a command; a command is an array, whose first byte no argument of ours begins a line with.
                self.request.sendall(line * max(1, heard.count(b"\r\n*") + heard.startswith(b"*")))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
