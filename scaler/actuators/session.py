"""The processes of a local instance: all of its session, from the first one's start mark to the last one's end.

All processes are looked at up to 200 times for one that ends. A Path would keep the name of each in Python's table of
interned strings, which then grows at some moment of the day by a megabyte or two.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fleet.process import start_mark

PROC = Path("/proc")
FIRST_LOOK_S = 0.005
LONGEST_LOOK_S = 0.1
KILL_WAIT_S = 2.0


def members(leader: int, mark: str) -> list[int]:
    """The living processes of the session which that process leads or led.

    The kernel gives a session's number to no new process while a member lives: where another process has the
    leader's pid, nothing of the session is left. Without /proc only the leader is seen.
    """
    current = start_mark(leader)
    if current == mark and not PROC.joinpath("self/stat").exists():
        return [leader]
    same_boot = (start_mark(os.getpid()) or "").partition("/")[0] == mark.partition("/")[0]
    if current not in {None, mark} or not same_boot:
        return []
    return [pid for pid in _pids() if _session(pid) == leader]


def _pids() -> list[int]:
    return [int(name) for name in os.listdir(PROC) if name.isdigit()]  # noqa: PTH208  # see above


def _session(pid: int) -> int | None:
    """The session of a process that lives, by proc(5); the second field may hold spaces and brackets."""
    try:
        with open(f"{PROC}/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123  # see above
            stat = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if stat[0] in "ZX" else int(stat[3])


@dataclass(slots=True)
class Children:
    """The exit codes of processes that this one started, so that no zombie stays and no code is lost."""

    _codes: dict[int, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reap(self, pid: int) -> int | None:
        """The exit code of an ended child, negative for a signal; None if it runs or is another's child."""
        with self._lock:
            if pid not in self._codes:
                try:
                    ended, status = os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    return None
                if ended:
                    self._codes[pid] = os.waitstatus_to_exitcode(status)
            return self._codes.get(pid)

    def forget(self, pid: int) -> None:
        """Drop the code of a pid, which may come again."""
        with self._lock:
            self._codes.pop(pid, None)

    def end(self, leader: int, mark: str, grace_s: float) -> bool:
        """Signal a session to end, wait, kill what is left; whether all of it has ended."""
        return self._signal(leader, mark, signal.SIGTERM, grace_s) or self._signal(
            leader, mark, signal.SIGKILL, KILL_WAIT_S
        )

    def _signal(self, leader: int, mark: str, number: signal.Signals, wait_s: float) -> bool:
        deadline, never, pause = time.monotonic() + wait_s, threading.Event(), FIRST_LOOK_S
        for pid in members(leader, mark):
            with suppress(ProcessLookupError, PermissionError):  # whether it ended is looked at below
                os.kill(pid, number)
        while True:
            self.reap(leader)
            if not members(leader, mark):
                return True
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            never.wait(min(pause, left_s))
            pause = min(2 * pause, LONGEST_LOOK_S)
