from __future__ import annotations

import signal
import socket
from functools import partial
from typing import TYPE_CHECKING

import pytest

from fleet.memory import MemoryStore
from fleet.registry import Happening
from fleet.settings import Settings
from stoker.signals import Signals
from stoker.up import FIRST_BACKOFF_S, LONGEST_BACKOFF_S, STEADY_S, Kept, Supervisor
from tests.stoker.fleets import Fleet, fleet
from tests.valkey import folder, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stoker.processes import Process

live = [pytest.mark.live, pytest.mark.timeout(120)]


@pytest.fixture
def shop(fleet_name: str) -> Iterator[Fleet]:
    with folder() as path, fleet(fleet_name, path, free_port()) as found:
        yield found


def is_back(shop: Fleet, part: str, killed: Process) -> bool:
    """Whether another process has taken the part over."""
    return shop.note.children[part] != killed


class Inert:
    """A part for the arithmetic alone."""

    name = "inert"


def kept() -> Kept:
    return Kept(Inert())  # type: ignore[arg-type]  # nothing of it is asked


def test_the_wait_before_a_restart_doubles_up_to_a_limit() -> None:
    part = kept()
    waits = [part.back_off(now=float(moment)) for moment in range(8)]
    assert [FIRST_BACKOFF_S * 2**count for count in range(6)] == waits[:6]
    assert [LONGEST_BACKOFF_S] * 2 == waits[6:]


def test_a_part_that_was_steady_is_started_again_soon() -> None:
    part = kept()
    for moment in range(5):
        part.back_off(now=float(moment))
    part.started_at = 100.0
    assert FIRST_BACKOFF_S == part.back_off(now=100.0 + STEADY_S + 1)


def test_the_history_goes_on_by_what_one_desk_has_told_though_the_store_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, opened, said = MemoryStore(lambda: 100.0), list[Settings](), list[str]()
    lease = store.acquire("one")
    assert lease is not None

    def open_desk(settings: Settings) -> MemoryStore:
        opened.append(settings)
        return store

    monkeypatch.setattr("stoker.up.open_desk", open_desk)
    with Signals() as signals:
        supervisor = Supervisor(Settings(), said.append, signals, [])
        for subject, outage in (("a", None), ("b", "gone"), ("c", None)):
            store.outage = None
            store.record(lease, [Happening(1.0, "fault", subject, "", "begins")])
            store.outage = outage
            supervisor._tell_history()
    assert (["a", "b", "c"], 1) == ([line.split()[2] for line in said], len(opened))


class TestLive:
    pytestmark = live

    def test_a_fleet_comes_up_serves_takes_orders_and_goes_down(self, shop: Fleet) -> None:
        shop.start()
        assert "shop1" == shop.get()
        assert 0 == shop.run("scale", "2").returncode
        shop.until(lambda: shop.status()["serving"] == 2)
        assert 2 == shop.status()["manual"]
        for order in ("pause", "resume"):
            assert f"ordered {order}" in shop.run(order).stdout
        shop.until(lambda: {"scale", "pause", "resume"} <= {one["subject"] for one in shop.events()})
        processes = [*shop.note.children.values(), shop.note.supervisor]
        down = shop.run("down")
        assert (0, f"fleet {shop.name} is down\n") == (down.returncode, down.stdout)
        assert shop.up is not None
        assert 0 == shop.up.wait()
        assert [] == [process for process in processes if process.alive]
        assert {"logs", "mitmproxy", "shop.definitions", "shop.scaler.lock", "snapshots", "up.lock", "valkey"} >= {
            path.name for path in (shop.folder / shop.name).iterdir() if not path.name.endswith(".trace")
        }

    def test_whatever_part_is_killed_comes_back_and_the_instance_stays(self, shop: Fleet) -> None:
        shop.start()
        before = shop.status()["backends"][0]
        for part in ("proxy", "scaler", "valkey"):
            killed = shop.note.children[part]
            killed.signal(signal.SIGKILL)
            shop.until(partial(is_back, shop, part, killed))
        shop.until(lambda: shop.status()["state"] in {"IDLE", "UP"})
        shop.until(shop.answers)
        after = shop.status()["backends"]
        assert [(before["name"], before["url"])] == [(one["name"], one["url"]) for one in after]
        assert "shop1" == shop.get()

    def test_sigterm_leaves_the_instance_and_the_next_start_adopts_it(self, shop: Fleet) -> None:
        shop.start()
        before = shop.status()["backends"][0]
        assert 0 == shop.end(signal.SIGTERM)
        shop.start()
        assert (before["name"], before["url"]) == tuple(shop.status()["backends"][0][key] for key in ("name", "url"))
        assert "shop1" == shop.get()

    def test_a_killed_supervisor_is_no_outage_and_its_parts_are_replaced(self, shop: Fleet) -> None:
        shop.start()
        orphans = shop.note.children
        shop.end(signal.SIGKILL)
        assert "shop1" == shop.get()
        shop.start()
        assert "shop1" == shop.get()
        assert [] == [process for process in orphans.values() if process.alive]

    def test_down_stops_what_a_supervisor_left_running(self, shop: Fleet) -> None:
        shop.start()
        shop.end(signal.SIGTERM)
        result = shop.run("down")
        assert (0, f"shop1 stopped\nfleet {shop.name} is down\n") == (result.returncode, result.stdout)

    def test_down_ends_the_parts_of_a_killed_supervisor(self, shop: Fleet) -> None:
        shop.start()
        orphans = shop.note.children
        shop.end(signal.SIGKILL)
        assert 0 == shop.run("down").returncode
        assert [] == [process for process in orphans.values() if process.alive]

    def test_a_second_up_of_the_same_fleet_is_refused(self, shop: Fleet) -> None:
        shop.start()
        result = shop.run("up")
        assert 1 == result.returncode
        assert f"stoker: fleet {shop.name} is already up; `stoker down` ends it\n" == result.stderr

    def test_a_port_in_use_is_said_before_anything_is_started(self, shop: Fleet) -> None:
        with socket.create_server(("127.0.0.1", shop.port)):
            result = shop.run("up")
        assert 1 == result.returncode
        assert f"stoker: proxy.listen_port: 127.0.0.1:{shop.port} is in use; set another\n" == result.stderr

    def test_an_engine_that_does_not_answer_ends_the_start_with_its_reason(
        self, shop: Fleet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("STOKER_ACTUATOR__KIND", "docker")
        monkeypatch.setenv("STOKER_INSTANCE__IMAGE", "shop:1")
        monkeypatch.setenv("DOCKER_HOST", f"unix://{shop.folder}/no.sock")
        result = shop.run("up")
        assert 1 == result.returncode
        [line] = result.stderr.splitlines()
        assert "start an engine, or set actuator.kind to process" in line
        assert not (shop.folder / shop.name / "up.json").exists()
