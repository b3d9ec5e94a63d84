"""Alerts from outside: who is believed, what is read of them, and that nothing else comes in."""

from __future__ import annotations

import http.client
import json
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import StoreUnavailableError
from fleet.registry import Order, OrderKind
from fleet.settings import Settings, load
from scaler.alerts import LONGEST_BODY, Desk, NotAnAlertError, hearing, read_alert
from tests.valkey import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "t0ken-of-the-tests-16"
FIRING = {
    "status": "firing",
    "alerts": [
        {"status": "firing", "labels": {"alertname": "Errors"}, "annotations": {"summary": "5 % of answers fail"}},
        {"status": "resolved", "labels": {"alertname": "Old"}},
    ],
}


def test_an_empty_body_is_an_alert() -> None:
    assert read_alert(b" \n") == "alert"


def test_of_alertmanagers_message_the_firing_alerts_are_told() -> None:
    assert read_alert(json.dumps(FIRING).encode()) == "alert: Errors (5 % of answers fail)"


def test_a_resolved_message_asks_for_nothing() -> None:
    assert read_alert(b'{"status": "resolved", "alerts": [{}]}') is None


@pytest.mark.parametrize("body", [b"no", b"[]", b'"alert"', b"\xff\xfe", b"[" * 50_000, b"nan"])
def test_anything_else_is_no_alert(body: bytes) -> None:
    with pytest.raises(NotAnAlertError):
        read_alert(body)


@pytest.mark.parametrize("odd", [{"alerts": 3}, {"alerts": [3, {"labels": 7, "annotations": []}]}, {"status": ["x"]}])
def test_a_json_object_of_another_shape_is_an_alert_without_words(odd: dict[str, object]) -> None:
    assert read_alert(json.dumps(odd).encode()) == "alert"


@given(st.text(max_size=400))
def test_a_strangers_words_stay_in_one_line(words: str) -> None:
    body = {"alerts": [{"labels": {"alertname": "x" + words}}]}
    found = read_alert(json.dumps(body).encode())
    assert found is not None
    assert len(found) <= 200
    assert found.isprintable()


class Store:
    """Takes orders, or cannot be reached."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.gone = False

    def place(self, order: Order) -> str:
        if self.gone:
            raise StoreUnavailableError("gone")
        self.orders.append(order)
        return "1-1"


def test_a_flood_of_alerts_is_one_order_a_second() -> None:
    store, now = Store(), [100.0]
    desk = Desk(TOKEN, store.place, lambda: now[0])
    assert {202} == {desk.take(b"")[0] for _ in range(50)}
    now[0] += 1
    desk.take(b"")
    assert [Order(OrderKind.ABORT, reason="alert")] * 2 == store.orders


def test_without_the_store_the_sender_may_try_again_at_once() -> None:
    store = Store()
    desk = Desk(TOKEN, store.place)
    store.gone = True
    assert desk.take(b"")[0] == 503
    store.gone = False
    assert desk.take(b"")[0] == 202


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, Store]]:
    store, port = Store(), free_port()

    class Opened(Store):
        def close(self) -> None:
            """Nothing is open."""

    opened = Opened()
    opened.orders = store.orders
    monkeypatch.setattr("scaler.alerts.open_desk", lambda _settings: opened)
    with hearing(settings(port), pytest.fail):
        yield port, store


def settings(port: int) -> Settings:
    return load(None, **{"alerts.token": TOKEN, "alerts.port": port})


def asked(port: int, method: str = "POST", path: str = "/alert", **more: object) -> tuple[int, bytes]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    headers = {"Authorization": f"Bearer {TOKEN}"} | dict(more.get("headers", {}))  # type: ignore[call-overload]
    link.request(method, path, body=more.get("body", b""), headers=headers)  # type: ignore[arg-type]
    answer = link.getresponse()
    found = answer.status, answer.read()
    link.close()
    return found


def test_an_alert_with_the_token_places_the_order(heard: tuple[int, Store]) -> None:
    port, store = heard
    assert (202, b"ordered 1-1\n") == asked(port, body=json.dumps(FIRING).encode())
    assert [Order(OrderKind.ABORT, reason="alert: Errors (5 % of answers fail)")] == store.orders


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xe9"])
def test_a_wrong_token_learns_nothing(heard: tuple[int, Store], given: str) -> None:
    port, store = heard
    assert (401, b"") == asked(port, headers={"Authorization": given})
    assert [] == store.orders


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/alert", 405),
        ("PUT", "/alert", 405),
        ("DELETE", "/alert", 405),
        ("POST", "/", 404),
        ("GET", "/x", 404),
        ("POST", "/alert/", 404),
        ("POST", "/alert?token=x", 404),
        ("BREW", "/alert", 501),
    ],
)
def test_another_method_or_path_is_refused(heard: tuple[int, Store], method: str, path: str, status: int) -> None:
    port, store = heard
    assert asked(port, method, path)[0] == status
    assert [] == store.orders


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Length": str(LONGEST_BODY + 1)}, 413),
        ({"Content-Length": "-1"}, 400),
        ({"Content-Length": "1e3"}, 400),
        ({"Transfer-Encoding": "chunked"}, 411),
    ],
)
def test_a_body_too_large_or_of_no_length_is_not_read(
    heard: tuple[int, Store], headers: dict[str, str], status: int
) -> None:
    port, store = heard
    with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        link.sendall(f"POST /alert HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{lines}\r\n".encode())
        assert int(link.recv(100).split()[1]) == status
    assert [] == store.orders


def test_a_body_that_is_no_json_is_refused(heard: tuple[int, Store]) -> None:
    assert asked(heard[0], body=b"{")[0] == 400


def test_many_that_say_nothing_keep_nobody_out_for_long(heard: tuple[int, Store]) -> None:
    port, store = heard
    silent = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(15)]
    assert asked(port)[0] == 202
    assert len(store.orders) == 1
    for link in silent:
        link.close()


def test_without_a_token_nothing_listens() -> None:
    port = free_port()
    with hearing(load(None, **{"alerts.port": port}), pytest.fail), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with hearing(settings(port), said.append):
            pass
    assert said == [f"no alerts: 127.0.0.1:{port} cannot be listened on: Address already in use; set alerts.port"]
