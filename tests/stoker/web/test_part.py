"""The page as a part of `stoker up`, and `stoker web` alone."""

from __future__ import annotations

import signal
import socket
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.stoker.fleets import Fleet, fleet
from tests.valkey import folder, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.live


@pytest.fixture
def up(fleet_name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Fleet, int]]:
    port = free_port()
    monkeypatch.setenv("STOKER_WEB__ENABLED", "true")
    monkeypatch.setenv("STOKER_WEB__LISTEN_PORT", str(port))
    with folder() as path, fleet(fleet_name, path, free_port()) as found:
        yield found, port


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        content: bytes = answer.read()
        return content.decode()


@pytest.mark.timeout(90)
def test_up_serves_the_page_starts_it_again_and_ends_it_first(up: tuple[Fleet, int]) -> None:
    found, port = up
    found.start()
    found.until(lambda: f"shows the fleet on http://127.0.0.1:{port}" in found.said)
    assert "<title>Stoker</title>" in page(port)
    found.note.children["web"].signal(signal.SIGKILL)
    found.until(lambda: found.said.count("shows the fleet on") == 2)
    assert "<title>Stoker</title>" in page(port)
    assert 0 == found.end(signal.SIGINT)
    ended = [line.split()[0] for line in found.said.splitlines() if line.endswith(" ended")]
    assert ["web", "proxy", "scaler", "valkey"] == ended


@pytest.mark.timeout(60)
def test_up_goes_on_without_its_page_where_the_port_is_in_use(up: tuple[Fleet, int]) -> None:
    found, port = up
    with socket.create_server(("127.0.0.1", port)):
        found.start()
        assert f"web      web.listen_port: 127.0.0.1:{port} is in use; no page, set another" in found.said
        assert found.get().startswith("shop")


def test_alone_it_ends_with_one_line_where_the_port_is_in_use(up: tuple[Fleet, int]) -> None:
    found, port = up
    with socket.create_server(("127.0.0.1", port)):
        result = found.run("web", "--port", str(port))
    assert (1, "") == (result.returncode, result.stdout)
    assert (
        f"stoker: web.listen_port: 127.0.0.1:{port} is in use; set another, or web.enabled = false\n" == result.stderr
    )


def test_alone_it_ends_with_one_line_for_a_name_that_is_no_address_of_this_machine(up: tuple[Fleet, int]) -> None:
    found, port = up
    result = found.run("web", "--address", "192.0.2.1", "--port", str(port))
    assert 1 == result.returncode
    assert result.stderr.startswith(f"stoker: web.listen_port: 192.0.2.1:{port} cannot be listened on: ")
