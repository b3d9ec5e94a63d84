"""Which process a pid means: pid and start time together name one process for ever, a pid alone does not."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

STEP_S = 0.02


def start_mark(pid: int) -> str | None:
    """A text that tells this process from any other that ever had its pid; None where it does not run.

    A zombie does not run. On Linux the mark is the boot's id and the start in clock ticks since then (proc(5)).
    """
    try:
        after_name = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        boot = _read("/proc/sys/kernel/random/boot_id").strip()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _asked(pid)
    return None if after_name[0] in "ZX" else f"{boot}/{after_name[19]}"


def _read(path: str) -> str:
    """Without a Path, whose parts Python keeps in a table of its own: this is asked often, of ever new pids."""
    with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
        return file.read()


def _asked(pid: int) -> str | None:
    """Where there is no /proc."""
    found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def runs(pid: int, mark: str) -> bool:
    """Whether the process that had this mark still runs."""
    return start_mark(pid) == mark


def signal_if_same(pid: int, mark: str, number: int) -> bool:
    """Send a signal to the process of this mark; False where it no longer runs."""
    if not runs(pid, mark):
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def await_end(pid: int, mark: str, timeout_s: float) -> bool:
    """Wait for a process that may not be a child of this one; False where it still runs after that time."""
    never = threading.Event()
    for _ in range(max(1, int(timeout_s / STEP_S))):
        if not runs(pid, mark):
            return True
        never.wait(STEP_S)
    return not runs(pid, mark)
