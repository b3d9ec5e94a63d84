"""The process hand where only processes can go wrong: identity, sessions, files, ports."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from fleet.process import await_end, runs, start_mark
from scaler.actuators.actuator import Failed, Started
from scaler.actuators.process import ProcessActuator
from scaler.actuators.spawn import free_port, spawn
from scaler.messages import Outcome
from tests.scaler.actuators.hands import SECRET, Hand, await_outcome, process_definition, process_hand

if TYPE_CHECKING:
    from fleet.settings import InstanceSettings
    from scaler.actuators.process_file import ProcessFile

STARTER = """
import json, os, sys
from pathlib import Path
from tests.scaler.actuators.hands import process_hand
from fleet.settings import Settings
hand = process_hand(Path(sys.argv[1]))
hand.settings = hand.settings.model_copy(update={"fleet": sys.argv[2], "app": sys.argv[3]})
print(hand.open().start([hand.order(1, hand.good)])[0].url, flush=True)
os.kill(os.getpid(), 9)
"""

STUBBORN = """
import signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "60"], process_group=0)
print("child", child.pid, "", flush=True)
child.wait()
"""


def started(hand: Hand, definition: InstanceSettings, number: int = 1) -> tuple[ProcessActuator, ProcessFile]:
    actuator = hand.open()
    assert isinstance(actuator, ProcessActuator)
    result = actuator.start([hand.order(number, definition)])[0]
    assert isinstance(result, Started), result
    return actuator, file_of(actuator, hand.name(number))


def file_of(actuator: ProcessActuator, name: str) -> ProcessFile:
    file = actuator.files.read(name)
    assert file is not None
    return file


def said(actuator: ProcessActuator, name: str, wanted: bytes) -> None:
    """Wait until the instance has written this; pytest's timeout is the deadline."""
    while wanted not in actuator.files.log_tail(name):
        os.sched_yield()


def test_an_instance_outlives_a_killed_scaler_and_is_adopted(processes: Hand, tmp_path: Path) -> None:
    words = [sys.executable, "-c", STARTER, str(tmp_path), processes.settings.fleet, processes.settings.app]
    starter = subprocess.run(words, capture_output=True, text=True, check=False)
    assert starter.returncode == -signal.SIGKILL, starter.stderr
    url = starter.stdout.strip()
    await_outcome(url, Outcome.READY)
    actuator = processes.open()
    assert [found.url for found in actuator.running().found if found.running] == [url]
    actuator.stop(processes.name(1), "local", 2.0)
    await_outcome(url, Outcome.REFUSED)


def test_the_file_is_on_disk_before_the_command_runs(processes: Hand) -> None:
    path = processes.settings.state_path / f"{processes.name(1)}.json"
    actuator, _ = started(processes, process_definition("sh", "-c", f'cat "{path}"; echo "; $$ {{port}}"; sleep 60'))
    said(actuator, processes.name(1), b"; ")
    content, _, rest = actuator.files.log_tail(processes.name(1)).decode().partition("; ")
    assert json.loads(content)["pid"] == int(rest.split()[0])


def test_a_process_that_is_never_released_runs_nothing(tmp_path: Path) -> None:
    held = spawn(["touch", str(tmp_path / "ran")], dict(os.environ), tmp_path / "log")
    assert start_mark(held.pid) is not None
    held.abandon()
    assert start_mark(held.pid) is None
    assert not (tmp_path / "ran").exists()


def test_two_starts_of_one_name_make_one_process(processes: Hand) -> None:
    hands = [processes.open() for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        results = list(threads.map(lambda hand: hand.start([processes.order(1, processes.good)])[0], hands))
    assert len(set(results)) == 1
    assert isinstance(results[0], Started)
    assert len(hands[0].running().found) == 1


def test_a_reused_pid_is_neither_adopted_nor_signalled(processes: Hand) -> None:
    actuator, file = started(processes, processes.good)
    actuator.stop(file.name, "local", 2.0)
    stranger = replace(file, pid=os.getpid(), mark="another boot/1")
    actuator.files.write(stranger)
    assert [found.running for found in actuator.running().found] == [False]
    actuator.stop(file.name, "local", 0.0)
    assert actuator.running().found == ()


def test_a_whole_session_is_stopped_whatever_its_processes_do_with_signals(processes: Hand) -> None:
    actuator, file = started(processes, process_definition(sys.executable, "-I", "-S", "-c", STUBBORN, "{port}"))
    said(actuator, file.name, b"child ")
    child = int(actuator.files.log_tail(file.name).split()[1])
    mark = start_mark(child) or ""
    actuator.stop(file.name, "local", 0.1)
    assert await_end(child, mark, 20.0)
    assert not runs(file.pid, file.mark)


def test_children_that_a_dead_leader_left_are_stopped_too(processes: Hand) -> None:
    actuator, file = started(processes, process_definition("sh", "-c", 'sleep 60.{port} & echo "child $!"'))
    said(actuator, file.name, b"child ")
    child = int(actuator.files.log_tail(file.name).split()[1])
    mark = start_mark(child) or ""
    assert await_end(file.pid, file.mark, 20.0)
    actuator.stop(file.name, "local", 1.0)
    assert await_end(child, mark, 20.0)


def test_an_app_that_ends_at_sigterm_gets_its_grace(processes: Hand) -> None:
    script = 'trap "echo bye >\\"$0\\"; exit 0" TERM; echo up {port}; while :; do sleep 0.02; done'
    goodbye = processes.settings.state_path / "goodbye"
    actuator, file = started(processes, process_definition("sh", "-c", script, str(goodbye)))
    said(actuator, file.name, b"up")
    assert actuator.stop(file.name, "local", 5.0).log[:1] == (f"up {urlsplit(file.url).port}",)
    assert goodbye.read_text(encoding="ascii") == "bye\n"


def test_no_zombie_is_left_and_the_code_is_kept_until_the_stop(processes: Hand) -> None:
    actuator, file = started(processes, processes.exits)
    assert await_end(file.pid, file.mark, 20.0)
    for _ in range(2):
        (found,) = actuator.running().found
        assert found.exit_code == 3
        assert found.log[-1].endswith("the password is [hidden]")
    assert not Path(f"/proc/{file.pid}").exists()
    again = actuator.start([processes.order(1, processes.exits)])[0]
    assert isinstance(again, Failed)
    assert (again.exit_code, again.reason) == (3, "it has exited")


def test_no_env_value_is_in_any_argv_or_file(processes: Hand) -> None:
    actuator, file = started(processes, processes.good)
    await_outcome(file.url, Outcome.READY)
    assert SECRET.encode() not in Path(f"/proc/{file.pid}/cmdline").read_bytes()
    files = [path.read_bytes() for path in processes.settings.state_path.iterdir()]
    assert not [content for content in files if SECRET.encode() in content]
    assert actuator.files.folder.stat().st_mode & 0o077 == 0


def test_stokers_own_settings_are_not_handed_on(processes: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_REDIS_URL", "redis://:hidden@127.0.0.1/")
    actuator, file = started(processes, process_definition("sh", "-c", "env; echo done {port}; sleep 60"))
    said(actuator, file.name, b"done")
    log = actuator.files.log_tail(file.name)
    assert b"STOKER_" not in log
    assert b"PASSWORD=" in log


def test_a_file_that_is_not_ours_to_believe_is_a_fault_and_stays(processes: Hand) -> None:
    actuator, file = started(processes, processes.good)
    path = processes.settings.state_path / f"{processes.name(2)}.json"
    path.write_text('{"pid": "x"}', encoding="ascii")
    census = actuator.running()
    assert [found.name for found in census.found] == [file.name]
    (fault,) = census.faults
    assert fault.startswith(f"{path}: not a process file: ")
    assert "\n" not in fault
    refused = actuator.start([processes.order(2, processes.good)])[0]
    assert isinstance(refused, Failed)
    actuator.stop(processes.name(2), "local", 0.0)
    assert path.exists()


def test_a_long_output_is_rotated(tmp_path: Path) -> None:
    hand = process_hand(tmp_path)
    noisy = hand.good.model_copy(update={"log_size": "1k"})
    hand.settings = hand.settings.model_copy(update={"instance": noisy})
    script = "seq 1000; echo full; read -r _ </dev/null; sleep 60.{port}"
    actuator, file = started(hand, process_definition("sh", "-c", script))
    said(actuator, file.name, b"full")
    actuator.running()
    assert actuator.files.log_tail(file.name) == b""
    actuator.stop(file.name, "local", 1.0)
    assert list(hand.settings.state_path.iterdir()) == []


def test_removing_an_instance_takes_its_leftovers_and_keeps_nothing_of_its_name_in_memory(processes: Hand) -> None:
    actuator = processes.open()
    assert isinstance(actuator, ProcessActuator)
    files = actuator.files
    files.folder.mkdir(parents=True, exist_ok=True)
    re.purge()
    files.remove(processes.name(1))
    patterns = len(re._cache)  # type: ignore[attr-defined]
    mine, others = (files.folder / f".{processes.name(number)}.x.new" for number in (2, 22))
    for path in (mine, others):
        path.touch()
    files.remove(processes.name(2))
    assert (False, True) == (mine.exists(), others.exists())
    assert patterns == len(re._cache)  # type: ignore[attr-defined]


def test_a_port_in_use_is_not_given_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = {free_port("127.0.0.1", ()) for _ in range(200)}
        assert port not in found
        assert all(20_000 <= one < 32_768 for one in found)


def test_no_free_port_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("scaler.actuators.spawn.PORTS", range(port, port + 1))
        with pytest.raises(OSError, match=f"no free port on 127.0.0.1 between {port} and {port}"):
            free_port("127.0.0.1", ())


def test_a_command_has_no_image_to_resolve(processes: Hand) -> None:
    actuator = processes.open()
    assert "" == actuator.resolve(processes.good)
    with pytest.raises(ValueError, match=r"process runs instance\.command and no image, was 'shop:2': change instance"):
        actuator.resolve(processes.good.model_copy(update={"image": "shop:2"}))
