"""The processes of one `stoker up`: their note on disk, and how they are started and ended."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fleet.process import runs, signal_if_same, start_mark
from scaler.actuators.spawn import spawn
from stoker.errors import CommandError

if TYPE_CHECKING:
    from pathlib import Path

KILLED_WITHIN_S = 5.0
STEP_S = 0.05


@dataclass(frozen=True, slots=True)
class Process:
    """A pid and the mark of its start, which together mean one process for ever."""

    pid: int
    mark: str

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return runs(self.pid, self.mark)

    def signal(self, number: int) -> bool:
        """Send it a signal; False where it no longer runs."""
        return signal_if_same(self.pid, self.mark, number)


def this_process() -> Process:
    """The one that asks."""
    return Process(os.getpid(), start_mark(os.getpid()) or "")


@dataclass(frozen=True, slots=True)
class Note:
    """`up.json`: the supervisor, and its children by name."""

    supervisor: Process
    children: Mapping[str, Process] = field(default_factory=dict)

    def having(self, name: str, process: Process) -> Note:
        """The same with this child."""
        return replace(self, children={**self.children, name: process})

    def write(self, path: Path) -> None:
        """Replace the file in one go."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = {"supervisor": _to_json(self.supervisor)} | {
            "children": {name: _to_json(process) for name, process in self.children.items()}
        }
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        draft.replace(path)


def read_note(path: Path) -> Note | None:
    """What the file says; None where there is none. Raises CommandError where it cannot be believed."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        children = {str(name): _from_json(entry) for name, entry in content["children"].items()}
        return Note(_from_json(content["supervisor"]), children)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CommandError(f"{path}: must name processes by pid and start, and does not; remove it") from error


def _to_json(process: Process) -> dict[str, Any]:
    return {"pid": process.pid, "start": process.mark}


def _from_json(entry: dict[str, Any]) -> Process:
    return Process(int(entry["pid"]), str(entry["start"]))


def launch(argv: Sequence[str], variables: Mapping[str, str], log: Path, noted: Callable[[Process], None]) -> Process:
    """Start a child in a session of its own. It runs only after `noted` has put it on disk, so that none is lost."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    spawned = spawn(argv, variables, log)
    try:
        process = Process(spawned.pid, start_mark(spawned.pid) or "")
        noted(process)
    except BaseException:
        spawned.abandon()
        raise
    spawned.release()
    return process


def exit_code(process: Process) -> int | None:
    """How a child of ours ended, negative for a signal; None where that cannot be known (any longer)."""
    try:
        ended, status = os.waitpid(process.pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None


def end(process: Process, number: int, timeout_s: float, pause: Callable[[float], bool]) -> bool:
    """Signal it, wait, kill what is left; False where the kill was needed. `pause` waits, and says when to hurry."""
    process.signal(number)
    if _await(process, timeout_s, pause):
        return True
    process.signal(signal.SIGKILL)
    _await(process, KILLED_WITHIN_S, lambda seconds: pause(seconds) and False)
    return False


def _await(process: Process, timeout_s: float, pause: Callable[[float], bool]) -> bool:
    for _ in range(max(1, round(timeout_s / STEP_S))):
        if not process.alive:
            exit_code(process)
            return True
        if pause(STEP_S):
            break
    return not process.alive
