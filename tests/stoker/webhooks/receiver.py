"""A receiver of messages that verifies them as docs/webhooks.md says, and misbehaves on request."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "a-secret-of-the-tests"


def verified(key: str, headers: dict[str, str], body: bytes, now: float) -> bool:
    """Whether the message is ours and not older than five minutes."""
    timestamp = headers.get("stoker-timestamp", "")
    expected = hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    signed = hmac.compare_digest(f"sha256={expected}", headers.get("stoker-signature", ""))
    return signed and timestamp.isdigit() and abs(now - int(timestamp)) < 300


@dataclass
class Receiver:
    """`answers` are given in turn, then 204; `hang` holds answers until it is set. A repeated id is passed over."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    hang: threading.Event | None = None
    got: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    forged: int = 0
    news: threading.Condition = field(default_factory=threading.Condition)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        if self.hang is not None:
            self.hang.wait(30)
        with self.news:
            self.paths.append(path)
            answer = self.answers.pop(0) if self.answers else 204
            if not verified(KEY, headers, body, time.time()):  # noqa: TID251  # the other side
                self.forged += 1
            elif answer < 300 and headers["stoker-id"] not in {one["id"] for one in self.got}:
                self.got.append(json.loads(body))
            self.news.notify_all()
        return answer

    def wait_for(self, count: int, within_s: float = 15.0) -> list[dict[str, Any]]:
        with self.news:
            self.news.wait_for(lambda: len(self.got) >= count, within_s)
            return list(self.got)


@contextmanager
def receiving(**values: Any) -> Iterator[Receiver]:
    """One on a port of its own."""
    receiver = Receiver(**values)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = receiver.take(self.path, headers, body)
            self.send_response(status)
            if status // 100 == 3:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:  # what a followed redirect would become
            self.do_POST()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        if receiver.hang is not None:
            receiver.hang.set()
        server.shutdown()
        thread.join()
        server.server_close()
