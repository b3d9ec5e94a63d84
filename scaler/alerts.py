"""`POST /alert`: a monitoring system cuts a canary off. What comes from outside is judged here, then it is an order.

Any scaler takes an alert, acting or not: the order lies in the store until the one that acts carries it out.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any

from fleet.errors import StoreUnavailableError
from fleet.registry import Order, OrderKind
from fleet.small_server import SmallHandler, Words, listening
from fleet.store.opening import open_desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.settings import Settings

PATH = "/alert"
LONGEST_BODY = 65_536
LONGEST_REASON = 200
# Of a flood of alerts one order comes in this time.
ORDER_EVERY_S = 1.0


class NotAnAlertError(ValueError):
    """The body is neither empty nor a JSON object."""


def read_alert(body: bytes) -> str | None:
    """Why the canary is to go, in one line; None where the message says that all is well again.

    An empty body is an alert; so is any JSON object. Of Alertmanager's webhook the firing alerts' names and summaries
    are told. Raises NotAnAlertError.
    """
    if not body.strip():
        return "alert"
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotAnAlertError from error
    if not isinstance(told, dict):
        raise NotAnAlertError
    if told.get("status") == "resolved":
        return None
    alerts = told.get("alerts")
    listed = [one for one in alerts if isinstance(one, dict)] if isinstance(alerts, list) else []
    firing = [one for one in listed if one.get("status") != "resolved"]
    words = "; ".join(filter(None, map(_named, firing[:3])))
    return _plain(f"alert: {words}") if words else "alert"


def _named(alert: dict[str, Any]) -> str:
    labels, notes = alert.get("labels"), alert.get("annotations")
    name = labels.get("alertname") if isinstance(labels, dict) else None
    summary = notes.get("summary") if isinstance(notes, dict) else None
    return " ".join(word for word in (name, f"({summary})" if summary else None) if isinstance(word, str))


def _plain(text: str) -> str:
    """Strangers' words, for events and terminals: one line, nothing that a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:LONGEST_REASON]


@dataclass(slots=True)
class Desk:
    """Who may order, and how often."""

    token: str
    place: Callable[[Order], str]
    now: Callable[[], float] = monotonic
    _ordered_at: float | None = None

    def admits(self, authorization: str) -> bool:
        """Whether this header carries the token; takes as long for a wrong one."""
        kind, _, given = authorization.partition(" ")
        good = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self.token.encode())
        return good and kind.lower() == "bearer"

    def take(self, body: bytes) -> tuple[HTTPStatus, str]:
        """What is answered to an alert; the order is placed before."""
        try:
            reason = read_alert(body)
        except NotAnAlertError:
            return HTTPStatus.BAD_REQUEST, "the body must be empty or a JSON object"
        if reason is None:
            return HTTPStatus.OK, "resolved: nothing to do"
        now = self.now()
        if self._ordered_at is not None and now - self._ordered_at < ORDER_EVERY_S:
            return HTTPStatus.ACCEPTED, "ordered just now"
        try:
            placed = self.place(Order(OrderKind.ABORT, reason=reason))
        except StoreUnavailableError:
            return HTTPStatus.SERVICE_UNAVAILABLE, "the store cannot be reached"
        self._ordered_at = now
        return HTTPStatus.ACCEPTED, f"ordered {placed}"


@contextmanager
def hearing(settings: Settings, say: Callable[[str], None]) -> Iterator[None]:
    """Listen for alerts until the end of the block, where a token is set. Where that cannot be, one line says so.

    Raises SettingsError for a token file that cannot be read.
    """
    token, alerts = settings.alerts.read_token(), settings.alerts
    if token is None:
        yield
        return

    def place(order: Order) -> str:
        with closing(open_desk(settings)) as desk:
            return desk.place(order)

    words = Words("alerts", "an alert", "set alerts.port")
    with listening(alerts.listen_address, alerts.port, partial(_Handler, Desk(token, place)), words, say):
        yield


class _Handler(SmallHandler):
    def __init__(self, desk: Desk, *request: Any) -> None:  # noqa: ANN401  # as the server gives it
        self.desk = desk
        super().__init__(*request)

    def do_POST(self) -> None:  # noqa: N802  # the name the library calls
        """Path, token, size, then the alert itself; a wrong token learns nothing."""
        if self.path != PATH:
            self._answer(HTTPStatus.NOT_FOUND)
        elif not self.desk.admits(self.headers.get("Authorization", "")):
            self._answer(HTTPStatus.UNAUTHORIZED, header=("WWW-Authenticate", "Bearer"))
        elif "Transfer-Encoding" in self.headers:
            self._answer(HTTPStatus.LENGTH_REQUIRED)
        else:
            self._read(self.headers.get("Content-Length", "0"))

    def _read(self, length: str) -> None:
        if not length.isascii() or not length.isdigit() or len(length) > 10:
            self._answer(HTTPStatus.BAD_REQUEST)
        elif int(length) > LONGEST_BODY:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{LONGEST_BODY} bytes at most")
        else:
            with suppress(TimeoutError):  # who does not send what was announced gets no answer
                body = self.rfile.read(int(length))
                if len(body) == int(length):
                    self._answer(*self.desk.take(body))

    def do_GET(self) -> None:  # noqa: N802  # the name the library calls
        """Only a POST is an alert."""
        if self.path == PATH:
            self._answer(HTTPStatus.METHOD_NOT_ALLOWED, header=("Allow", "POST"))
        else:
            self._answer(HTTPStatus.NOT_FOUND)

    do_HEAD = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET  # noqa: N815

    def _answer(self, status: HTTPStatus, words: str = "", header: tuple[str, str] | None = None) -> None:
        body = f"{words}\n".encode() if words else b""
        self.send_response_only(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        if header is not None:
            self.send_header(*header)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
