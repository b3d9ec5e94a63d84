"""The window for monitoring, asked over real sockets."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from prometheus_client.core import GaugeMetricFamily

from fleet.exporter import Health, exporting, is_local_name
from fleet.settings import Settings, load
from fleet.small_server import MOST_AT_ONCE
from tests.valkey import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric


@dataclass
class Part:
    """A Source by hand."""

    alive: bool = True
    ready: bool = True
    fault: Exception | None = None
    asked: int = 0
    said: list[str] = field(default_factory=list)

    def collect(self) -> Iterator[Metric]:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        yield GaugeMetricFamily("stoker_thing", "A thing.", 1)

    def health(self) -> Health:
        return Health(self.alive, "the loop turns" if self.alive else "the loop stands")

    def readiness(self) -> Health:
        return Health(self.ready, "ready" if self.ready else "not ready")


@dataclass
class Asked:
    port: int
    part: Part

    def get(self, path: str, host: str = "localhost", method: str = "GET") -> tuple[int, str]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request(method, path, headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()


@contextmanager
def window(part: Part, **values: object) -> Iterator[Asked]:
    port = free_port()
    with exporting(load(None, **values), "scaler", port, part, part.said.append):
        yield Asked(port, part)


@pytest.fixture
def asked() -> Iterator[Asked]:
    with window(Part()) as opened:
        yield opened


def test_metrics_carry_fleet_and_app_and_say_which_part_this_is(asked: Asked) -> None:
    status, text = asked.get("/metrics")
    assert status == 200
    assert 'stoker_thing{fleet="stoker",app="production"} 1.0\n' in text
    assert 'stoker_build_info{fleet="stoker",app="production",part="scaler",version="' in text
    assert "\nprocess_cpu_seconds_total{" in text


def test_nothing_is_collected_for_a_check(asked: Asked) -> None:
    assert (200, "the loop turns\n") == asked.get("/healthz")
    assert (200, "ready\n") == asked.get("/readyz")
    assert asked.part.asked == 0


def test_a_failing_check_is_a_503_that_says_why(asked: Asked) -> None:
    asked.part.alive = asked.part.ready = False
    assert (503, "the loop stands\n") == asked.get("/healthz")
    assert (503, "not ready\n") == asked.get("/readyz")


def test_head_is_answered_without_a_body(asked: Asked) -> None:
    assert (200, "") == asked.get("/healthz", method="HEAD")


def test_other_paths_and_methods_are_refused(asked: Asked) -> None:
    assert (404, "here are /metrics, /healthz and /readyz\n") == asked.get("/")
    assert asked.get("/metrics", method="POST")[0] == 501


def test_on_loopback_a_strangers_host_name_is_refused(asked: Asked) -> None:
    status, words = asked.get("/metrics", host="evil.example")
    assert (421, "ask by this machine's address, or by localhost\n") == (status, words)


@pytest.mark.parametrize("host", ["", "localhost", "localhost:9180", "127.0.0.1:9180", "[::1]:9180"])
def test_addresses_and_localhost_are_local_names(host: str) -> None:
    assert is_local_name(host)


@pytest.mark.parametrize("host", ["a.b", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "::::"])
def test_other_names_are_not(host: str) -> None:
    assert not is_local_name(host)


def test_a_port_in_use_is_said_in_one_line_and_the_part_goes_on() -> None:
    part = Part()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with exporting(Settings(), "scaler", port, part, part.said.append):
            pass
    assert part.said == [
        f"no metrics: 127.0.0.1:{port} cannot be listened on: Address already in use; set another metrics.scaler_port"
    ]


def test_without_a_port_nothing_listens() -> None:
    before = set(threading.enumerate())
    with exporting(Settings(), "scaler", None, Part(), print):
        assert set() == set(threading.enumerate()) - before


def test_the_port_is_free_again_at_once() -> None:
    port = free_port()
    for _ in range(3):
        with exporting(Settings(), "scaler", port, Part(), pytest.fail):
            assert (200, "ready\n") == Asked(port, Part()).get("/readyz")


def test_clients_that_say_nothing_take_no_more_than_a_few_threads(asked: Asked) -> None:
    before = threading.active_count()
    silent = [socket.create_connection(("127.0.0.1", asked.port)) for _ in range(3 * MOST_AT_ONCE)]
    try:
        # Those beyond the limit are closed at once, so that reading from them ends.
        assert silent[-1].recv(1) == b""
        assert threading.active_count() - before <= MOST_AT_ONCE
    finally:
        for one in silent:
            one.close()


def test_a_fault_of_ours_is_said_and_the_next_scrape_is_answered(asked: Asked) -> None:
    asked.part.fault = KeyError("x")
    with pytest.raises(http.client.HTTPException):
        asked.get("/metrics")
    assert asked.part.said == ["a scrape was not answered: KeyError('x')"]
    asked.part.fault = None
    assert asked.get("/metrics")[0] == 200
