from __future__ import annotations

import os
import signal
import subprocess

from fleet.process import await_end, runs, signal_if_same, start_mark


def test_a_process_keeps_its_mark() -> None:
    mark = start_mark(os.getpid())
    assert mark is not None
    assert mark == start_mark(os.getpid())
    assert runs(os.getpid(), mark)


def test_no_two_processes_share_one() -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        assert start_mark(other.pid) not in {None, start_mark(os.getpid())}
        other.kill()


def test_what_has_ended_has_none_even_before_it_is_reaped() -> None:
    process = subprocess.Popen(["sleep", "60"])
    mark = start_mark(process.pid)
    assert mark is not None
    assert signal_if_same(process.pid, mark, signal.SIGKILL)
    assert await_end(process.pid, mark, 5)
    assert start_mark(process.pid) is None
    process.wait()
    assert start_mark(process.pid) is None
    assert not signal_if_same(process.pid, mark, signal.SIGKILL)


def test_a_process_of_another_mark_gets_no_signal() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        assert not signal_if_same(process.pid, "another", signal.SIGKILL)
        assert process.poll() is None
        process.kill()


def test_waiting_for_one_that_goes_on_ends() -> None:
    mark = start_mark(os.getpid())
    assert mark is not None
    assert not await_end(os.getpid(), mark, 0.05)
