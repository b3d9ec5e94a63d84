"""One run of a playbook through ansible-runner: results arrive by its events, the end by its callback.

Variables go through a private file in a private folder, which is removed with all that the runner leaves in it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_runner.config.runner import RunnerConfig
from ansible_runner.runner import Runner

from fleet.process import start_mark
from scaler.actuators.excerpt import one_line
from scaler.actuators.inventory import program
from scaler.actuators.play_vars import Value, to_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOOK_S = 0.2
TERM_WAIT_S = 3.0
PULL_TASK = "Pull the images"
TUNING = {  # where neither the environment nor a variable says otherwise
    "ANSIBLE_PIPELINING": "true",
    "ANSIBLE_FORKS": "20",
    "ANSIBLE_NOCOLOR": "true",
    "ANSIBLE_LOCALHOST_WARNING": "false",
    "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
    "ANSIBLE_DEPRECATION_WARNINGS": "false",
}


@dataclass(slots=True)
class Outcome:
    """What one run said: its statistics, per host why it failed or was out of reach, and how it ended."""

    statistics: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    unreachable: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    ending: str = "unfinished"

    def reason(self, *hosts: str) -> str:
        """Why there is no result for these targets, the most telling first."""
        for said in (self.unreachable, self.failures):
            for host in hosts:
                if host in said:
                    return said[host]
        if self.ending != "failed":
            return f"the play gave no result ({self.ending})"
        if self.failures:
            return next(reversed(self.failures.values()))  # of a host that is no target, such as localhost
        errors = [number for number, line in enumerate(self.words) if "ERROR" in line]
        told = self.words[errors[0] :] if errors else self.words[-3:]
        return one_line("the play failed: " + " ".join(told or ["without a word"]))

    def hear(self, event: Mapping[str, Any]) -> None:
        """Take in one event of the runner."""
        data: Mapping[str, Any] = event.get("event_data") or {}
        result: Mapping[str, Any] = data["res"] if isinstance(data.get("res"), dict) else {}
        said = result.get("msg")
        match event.get("event"):
            case "runner_on_ok":
                for key, value in (result.get("ansible_stats") or {}).get("data", {}).items():
                    if isinstance(value, dict):
                        self.statistics.setdefault(key, {}).update(value)
            case "runner_on_failed":
                self.failures[data["host"]] = one_line(f"{data.get('task')}: {said or 'it failed'}")
            case "runner_on_unreachable":
                host = data["host"]
                self.unreachable[host] = one_line(
                    f"host {host} cannot be reached: {said or 'Ansible does not say why'}"
                )
            case "error" | "verbose" | "warning":
                self.words += [line for line in str(event.get("stdout", "")).splitlines() if line.strip()]
            case _:
                pass


@dataclass(slots=True)
class _Watch:
    """Follows one run: its deadline, which a pull extends by its own, and the process to end when it has passed."""

    outcome: Outcome
    timeout_s: float
    pull_timeout_s: float
    deadline: float = field(init=False)
    pid: int | None = None
    asked_at: float | None = None

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.timeout_s

    def event(self, event: Mapping[str, Any]) -> bool:
        self.pid = event.get("pid") or self.pid
        if event.get("event") == "playbook_on_task_start" and event["event_data"].get("task") == PULL_TASK:
            self.deadline = time.monotonic() + self.timeout_s + self.pull_timeout_s
        self.outcome.hear(event)
        return False  # the runner need not write it down

    def cancelled(self) -> bool:
        """First the playbook's process is asked to end, for it alone knows its workers; then the runner kills."""
        now = time.monotonic()
        if now <= self.deadline:
            return False
        self.outcome.ending = f"not over after {self.timeout_s:g} s, actuator.play_timeout_s"
        if self.pid is None:
            return True
        if self.asked_at is None:  # once: a second time it would die before it has told its workers
            self.asked_at = now
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
        return now - self.asked_at > TERM_WAIT_S

    def finished(self, runner: Runner) -> None:
        if self.outcome.ending == "unfinished":
            self.outcome.ending = runner.status


@dataclass(frozen=True, slots=True)
class Stage:
    """Where plays run: the inventory, in whose folder an ansible.cfg counts, and a folder for private files."""

    inventory: Path
    folder: Path
    timeout_s: float

    def run(self, playbook: Path, variables: Mapping[str, Value], extra_s: float = 0.0, pull_s: float = 0.0) -> Outcome:
        """Run it to its end, or for `timeout_s` and `extra_s`; each pull of images adds `pull_s`."""
        outcome = Outcome()
        watch = _Watch(outcome, self.timeout_s + extra_s, pull_s)
        with self.private_folder() as private:
            _write(private / "vars.yml", to_yaml(variables))
            config = self._configured(private, playbook)
            runner = Runner(
                config,
                event_handler=watch.event,
                cancel_callback=watch.cancelled,
                finished_callback=watch.finished,
            )
            runner.run()
        return outcome

    def _configured(self, private: Path, playbook: Path) -> RunnerConfig:
        config = RunnerConfig(
            private_data_dir=str(private),
            playbook=str(playbook),
            inventory=str(self.inventory),
            project_dir=str(self.inventory.parent),
            fact_cache_type="",
            quiet=True,
        )
        config.prepare()
        # Settings that are handed over it forgets where there is no file of them.
        config.pexpect_timeout, config.suppress_output_file = LOOK_S, True
        config.command = [
            program("ansible-playbook"),
            *("-i", str(self.inventory)),
            *("-e", f"@{private / 'vars.yml'}"),
            str(playbook),
        ]
        if "ANSIBLE_HOST_KEY_CHECKING" not in os.environ:
            del config.env["ANSIBLE_HOST_KEY_CHECKING"]  # the runner switches it off; that is the user's to say
        ours = {key: value for key, value in config.env.items() if not key.startswith("STOKER_")}
        # Ansible's own temporary files, modules with their arguments among them, outlive a play that is killed.
        config.env = TUNING | {"ANSIBLE_LOCAL_TEMP": str(private / "tmp")} | ours
        return config

    @contextmanager
    def private_folder(self) -> Iterator[Path]:
        """A folder that nobody else can read, gone at the end; its name says whose it is."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix=f"{_owner(os.getpid())}.", dir=self.folder))
        try:
            yield path
        finally:
            shutil.rmtree(path)

    def sweep(self) -> None:
        """Remove the private folders of scalers that were killed during a play."""
        for path in self.folder.glob("*.*.*"):
            pid, mark, _ = path.name.split(".", 2)
            if pid.isdigit() and _owner(int(pid)) != f"{pid}.{mark}":
                shutil.rmtree(path, ignore_errors=True)


def _owner(pid: int) -> str:
    return f"{pid}.{hashlib.sha256((start_mark(pid) or '').encode()).hexdigest()[:8]}"


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as stream:
        stream.write(text)
