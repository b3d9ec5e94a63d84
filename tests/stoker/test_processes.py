from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from stoker.errors import CommandError
from stoker.processes import Note, Process, end, exit_code, launch, read_note, this_process

if TYPE_CHECKING:
    from pathlib import Path

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)
PATIENT = "import time; print('ready', flush=True); time.sleep(60)"


def wait(seconds: float) -> bool:
    return threading.Event().wait(seconds)


def started(folder: Path, code: str) -> Process:
    """A child that has said so."""
    log = folder / "child.log"
    process = launch([sys.executable, "-c", code], dict(os.environ), log, lambda _: None)
    while "ready" not in log.read_text():
        wait(0.01)
    return process


def test_a_note_reads_back_as_it_was_written(tmp_path: Path) -> None:
    note = Note(this_process()).having("proxy", Process(12, "a mark"))
    note.write(tmp_path / "fleet" / "up.json")
    assert note == read_note(tmp_path / "fleet" / "up.json")


def test_without_a_note_there_is_none(tmp_path: Path) -> None:
    assert read_note(tmp_path / "up.json") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"supervisor": 1, "children": {}}', '{"children": {"proxy": {}}}'])
def test_a_note_that_names_no_processes_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "up.json"
    path.write_text(text)
    with pytest.raises(CommandError, match=r"up\.json: must name processes by pid and start") as caught:
        read_note(path)
    assert "\n" not in str(caught.value)


def test_a_child_runs_in_a_session_of_its_own_after_it_was_noted(tmp_path: Path) -> None:
    noted: list[Process] = []
    log = tmp_path / "logs" / "child.log"
    process = launch([sys.executable, "-c", "print(1)"], dict(os.environ), log, noted.append)
    assert [process] == noted
    os.waitpid(process.pid, 0)
    assert log.read_text() == "1\n"


def test_a_child_that_cannot_be_noted_never_runs(tmp_path: Path) -> None:
    def refuse(_: Process) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        launch([sys.executable, "-c", "print(1)"], dict(os.environ), tmp_path / "log", refuse)
    assert (tmp_path / "log").read_text() == ""


def test_a_child_that_ends_when_asked_is_not_killed(tmp_path: Path) -> None:
    process = started(tmp_path, PATIENT)
    assert end(process, signal.SIGTERM, 5.0, wait)
    assert not process.alive


def test_a_child_that_ignores_the_signal_is_killed_at_the_deadline(tmp_path: Path) -> None:
    process = started(tmp_path, STUBBORN)
    assert not end(process, signal.SIGTERM, 0.2, wait)
    assert not process.alive


def test_a_second_signal_hurries_the_end(tmp_path: Path) -> None:
    process = started(tmp_path, STUBBORN)
    assert not end(process, signal.SIGTERM, 60.0, lambda seconds: not wait(seconds))
    assert not process.alive


def test_the_exit_code_of_an_ended_child_is_known_once(tmp_path: Path) -> None:
    process = launch([sys.executable, "-c", "raise SystemExit(7)"], dict(os.environ), tmp_path / "log", lambda _: None)
    while process.alive:
        wait(0.01)
    assert (7, None) == (exit_code(process), exit_code(process))


def test_a_pid_that_another_process_has_now_is_not_signalled() -> None:
    assert not Process(os.getpid(), "a start long ago").signal(signal.SIGKILL)
