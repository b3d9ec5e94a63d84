"""A real scaler process with a real Valkey and real instances: started, killed, and ended in both ways."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleet.process import runs
from fleet.registry import Happening
from fleet.settings import Settings, load
from fleet.store.opening import open_desk, open_registry
from scaler.running import own_trace_path, policy_of, trace_path
from scaler.trace import replay
from tests.doors import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.embedded import EmbeddedValkey

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]

APP = """
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
ThreadingHTTPServer(("127.0.0.1", {port}), SimpleHTTPRequestHandler).serve_forever()
"""
MAIN = """
import sys
from pathlib import Path
from fleet.settings import load
from scaler.running import run_scaler
run_scaler(load(Path(sys.argv[1])))
"""
WAIT_S = 30.0


@dataclass
class Fleet:
    """One fleet on the real server, and the scaler processes that were started for it."""

    settings: Settings
    file: Path
    seen: str = ""
    scalers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        scaler = subprocess.Popen([sys.executable, "-c", MAIN, str(self.file)], stdin=subprocess.DEVNULL)
        self.scalers.append(scaler)
        return scaler

    def until(self, kind: str, after: str, count: int = 1) -> list[Happening]:
        """Read the history on until so many such happenings came."""
        desk, found = patient(open_desk(self.settings)), list[Happening]()
        while len(found) < count:
            news = desk.history(self.seen, wait_s=WAIT_S)
            assert news, f"nothing happened for {WAIT_S:g} s while waiting for {kind} {after}"
            for entry, one in news:
                self.seen = entry
                if one.kind == kind and (one.after == after or not after):
                    found.append(one)
                    if len(found) == count:
                        break
        desk.close()
        return found

    def processes(self) -> dict[str, tuple[int, str]]:
        """The instances' files: name to pid and mark."""
        folder = self.settings.state_path
        files = [json.loads(path.read_text()) for path in folder.glob("web*.json")]
        return {one["name"]: (one["pid"], one["mark"]) for one in files}

    def alive(self) -> set[str]:
        return {name for name, (pid, mark) in self.processes().items() if runs(pid, mark)}


@pytest.fixture
def fleet(valkey: EmbeddedValkey, fleet_name: str, tmp_path: Path) -> Iterator[Fleet]:
    file = tmp_path / "stoker.toml"
    command = json.dumps([sys.executable, "-c", APP])
    file.write_text(
        f'fleet = "{fleet_name}"\napp = "web"\nredis_url = "{valkey.url}"\nstate_dir = "{tmp_path}"\n'
        f'[actuator]\nkind = "process"\n[instance]\ncommand = {command}\n'
        '[policy]\nmin = 2\n[life]\nprobe_path = "/"\ntick_s = 0.2\ncensus_s = 0.5\n'
    )
    settings = load(file)
    settle(settings)
    started = Fleet(settings, file)
    try:
        yield started
    finally:
        for scaler in started.scalers:
            scaler.kill()
            scaler.wait()
        for pid, mark in started.processes().values():
            if runs(pid, mark):
                subprocess.run(["kill", "-9", "--", f"-{pid}"], check=False)


def settle(settings: Settings) -> None:
    """Hold the lease once and give it back: the next holder then need not wait for an unknown earlier one."""
    registry = patient(open_registry(settings))
    lease = registry.acquire("before")
    assert lease is not None
    registry.release(lease)
    registry.close()


def test_a_killed_scaler_leaves_the_instances_and_the_next_adopts_them(fleet: Fleet) -> None:
    first = fleet.start()
    fleet.until("instance", "serving", 2)
    before = fleet.processes()
    first.kill()
    first.wait()
    fleet.start()
    [term] = fleet.until("term", "")
    assert ("took over with 2 serving",) == term.reasons
    fleet.until("state", "IDLE")
    assert before == fleet.processes()
    assert {"web1", "web2"} == fleet.alive()


def test_one_that_dies_is_replaced_by_the_running_scaler(fleet: Fleet) -> None:
    fleet.start()
    fleet.until("instance", "serving", 2)
    pid, _ = fleet.processes()["web1"]
    subprocess.run(["kill", "-9", "--", f"-{pid}"], check=True)
    [gone] = fleet.until("instance", "gone")
    assert "web1" == gone.subject
    [replacement] = fleet.until("instance", "serving")
    assert "web3" == replacement.subject
    assert {"web2", "web3"} == fleet.alive()


def test_sigterm_leaves_the_instances_and_gives_the_lease_back(fleet: Fleet) -> None:
    first = fleet.start()
    fleet.until("instance", "serving", 2)
    first.send_signal(signal.SIGTERM)
    assert 0 == first.wait(10)
    assert {"web1", "web2"} == fleet.alive()
    assert None is patient(open_desk(fleet.settings)).status().acting
    fleet.start()
    [term] = fleet.until("term", "")
    assert ("took over with 2 serving",) == term.reasons


def test_sigint_stops_every_instance(fleet: Fleet) -> None:
    scaler = fleet.start()
    fleet.until("instance", "serving", 2)
    marks = fleet.processes()
    scaler.send_signal(signal.SIGINT)
    assert 0 == scaler.wait(20)
    assert {} == fleet.processes()
    assert [] == [name for name, (pid, mark) in marks.items() if runs(pid, mark)]
    snapshot = patient(open_registry(fleet.settings)).recall().snapshot
    assert snapshot is not None
    assert {} == snapshot.backends


def test_the_trace_of_a_real_run_replays_to_the_same_steps(fleet: Fleet) -> None:
    scaler = fleet.start()
    fleet.until("state", "IDLE")
    scaler.send_signal(signal.SIGTERM)
    assert 0 == scaler.wait(10)
    taken = list(replay(trace_path(fleet.settings)))
    assert {""} == {one.differs for one in taken}
    assert {"web1", "web2"} == set(taken[-1].taken.state.instances)


def test_scalers_that_share_a_folder_write_a_trace_each(tmp_path: Path) -> None:
    settings = load(None, state_dir=tmp_path)
    with own_trace_path(settings) as first, own_trace_path(settings) as second:
        assert ["production.scaler.trace", "production.scaler.2.trace"] == [first.name, second.name]
    with own_trace_path(settings) as first, own_trace_path(settings, shadow=True) as shadow:
        assert ["production.scaler.trace", "production.shadow.trace"] == [first.name, shadow.name]


def test_a_store_that_cannot_be_reached_ends_the_start_with_a_clear_line(fleet: Fleet) -> None:
    fleet.file.write_text(fleet.file.read_text().replace("redis_url = ", 'redis_url = "redis://127.0.0.1:1" #'))
    failed = subprocess.run([sys.executable, "-c", MAIN, str(fleet.file)], capture_output=True, timeout=30, check=False)
    assert 1 == failed.returncode
    assert "StoreUnavailableError" in failed.stderr.decode().splitlines()[-1]
    assert "127.0.0.1:1" in failed.stderr.decode().splitlines()[-1]


def test_the_time_for_a_pull_is_given_only_where_something_is_pulled() -> None:
    assert 0.0 == policy_of(load(None, **{"actuator.kind": "process"})).pull_s
    assert 300.0 == policy_of(load(None, **{"actuator.kind": "docker", "instance.image": "app"})).pull_s
    never = load(None, **{"actuator.kind": "docker", "instance.image": "app", "instance.pull": "never"})
    assert 0.0 == policy_of(never).pull_s
