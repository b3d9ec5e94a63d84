"""A `stoker up` of a test's own: real processes, a port of its own, everything in one folder."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stoker.configured import sample_command
from stoker.processes import Note, read_note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STEP_S = 0.05
LOOKS = 400
COMMON = """fleet = "{fleet}"
app = "shop"
state_dir = "{folder}"
[proxy]
listen_port = {port}
[web]
enabled = false
[actuator]
"""
SETTINGS = (
    COMMON
    + """kind = "process"
[instance]
command = {command}
[life]
stop_grace_s = 2
"""
)


@dataclass(slots=True)
class Fleet:
    """One fleet; `up` may be started again and again."""

    name: str
    folder: Path
    port: int
    up: subprocess.Popen[bytes] | None = None

    def configure(self) -> None:
        """Write its settings."""
        command = json.dumps(sample_command())
        text = SETTINGS.format(fleet=self.name, folder=self.folder, port=self.port, command=command)
        (self.folder / "stoker.toml").write_text(text, encoding="utf-8")

    @property
    def said(self) -> str:
        """What every `stoker up` so far has printed."""
        return (self.folder / "up.log").read_text(encoding="utf-8")

    @property
    def note(self) -> Note:
        """The running supervisor's note."""
        note = read_note(self.folder / self.name / "up.json")
        assert note is not None, self.said
        return note

    def start(self) -> None:
        """`stoker up`, until an instance serves and every proxy knows."""
        log_path = self.folder / "up.log"
        greeted = self.said.count("listens on") if log_path.exists() else 0
        with log_path.open("ab") as log:
            self.up = subprocess.Popen(self.argv("up"), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.until(lambda: self.said.count("listens on") > greeted)
        self.until(lambda: self.status()["state"] in {"IDLE", "UP"})

    def end(self, number: int) -> int:
        """Signal `stoker up` and wait for its exit code."""
        assert self.up is not None
        self.up.send_signal(number)
        return self.up.wait()

    def argv(self, *words: str) -> list[str]:
        """The command with this fleet's settings."""
        return [sys.executable, "-P", "-m", "stoker", *words, "--config", str(self.folder / "stoker.toml")]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command of `stoker`, to its end."""
        return subprocess.run(self.argv(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def status(self) -> dict[str, Any]:
        """`stoker status --json`."""
        found: dict[str, Any] = json.loads(self.told("status", "--json"))
        return found

    def events(self) -> list[dict[str, Any]]:
        """`stoker events --json`."""
        return [json.loads(line) for line in self.told("events", "--json", "--last", "1000").splitlines()]

    def told(self, *words: str) -> str:
        """What a command prints, asked until it is answered: a store may be started, or stand still."""
        answers: list[str] = []

        def asked() -> bool:
            result = self.run(*words)
            answers.extend([result.stdout] if result.returncode == 0 else [])
            return bool(answers)

        self.until(asked)
        return answers[0]

    def until(self, true: Callable[[], bool]) -> None:
        """Wait until it is true, each rest as long as a look; fails with what `stoker up` said where it never is."""
        never = threading.Event()
        for _ in range(LOOKS):
            began = time.monotonic()
            if true():
                return
            assert self.up is None or self.up.poll() is None, self.said
            never.wait(max(STEP_S, time.monotonic() - began))
        raise AssertionError(self.said)

    def answers(self) -> bool:
        """Whether a request through the proxy is answered; one that was killed may not listen again yet."""
        try:
            return self.get() != ""
        except urllib.error.URLError:
            return False

    def get(self) -> str:
        """Which instance answers a request through the proxy."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10) as answer:
            found: str = answer.headers["X-Instance"]
            return found


@contextlib.contextmanager
def fleet(name: str, folder: Path, port: int) -> Iterator[Fleet]:
    """A configured fleet, brought down at the end whatever became of it."""
    found = Fleet(name, folder, port)
    found.configure()
    try:
        yield found
    finally:
        if found.up is not None and found.up.poll() is None:
            os.kill(found.up.pid, signal.SIGINT)
            found.up.wait()
        found.run("down")
