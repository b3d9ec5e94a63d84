"""Instances as local processes: a command with `{port}`, in a session of its own, that outlives the scaler."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fleet.backend import LOCAL_HOST
from fleet.process import start_mark
from scaler.actuators.actuator import Failed, Removed, Started, StartOrder
from scaler.actuators.container import address_url
from scaler.actuators.definition import check_command, environment
from scaler.actuators.excerpt import last_lines, one_line
from scaler.actuators.process_file import ProcessFile, ProcessFiles
from scaler.actuators.session import Children
from scaler.actuators.spawn import free_port, spawn
from scaler.messages import Census, Found

if TYPE_CHECKING:
    from fleet.settings import InstanceSettings

HOSTS = frozenset({LOCAL_HOST})
UNITS = {"k": 2**10, "m": 2**20, "g": 2**30}


@dataclass(frozen=True, slots=True)
class ProcessActuator:
    """The hand that starts local processes. `hidden` collects the env values that no log line may show."""

    files: ProcessFiles
    publish_address: str
    log_size: str
    now: Callable[[], float]
    hidden: set[str] = field(default_factory=set, repr=False)
    token: str | None = field(default=None, repr=False)
    children: Children = field(default_factory=Children)

    @property
    def batches(self) -> bool:
        """Each order is a call of its own."""
        return False

    def start(self, orders: Sequence[StartOrder]) -> list[Started | Failed]:
        """Start each order's command on a free port; what runs under its name and spec is success."""
        return [self._start(order) for order in orders]

    def _start(self, order: StartOrder) -> Started | Failed:
        try:
            self.files.owner.check(order.name)
            check_command(order.definition)
            file = self.files.read(order.name)
            return self._launch(order) if file is None else self._resume(order, file)
        except (OSError, ValueError) as error:
            return Failed(order.name, one_line(str(error), self.hidden))

    def _resume(self, order: StartOrder, file: ProcessFile) -> Started | Failed:
        if file.spec != order.spec:
            return Failed(order.name, f"{order.name} exists with spec {file.spec}, ordered was {order.spec}")
        found = self._found(file)
        if not found.running:
            return Failed(order.name, "it has exited", found.exit_code, found.log)
        return Started(order.name, file.url, LOCAL_HOST)

    def _launch(self, order: StartOrder) -> Started | Failed:
        variables = self._environment(order)
        port = free_port(self.publish_address, {urlsplit(file.url).port or 0 for file in self._files()[0]})
        words = [word.replace("{port}", str(port)).replace("{name}", order.name) for word in order.definition.command]
        self.files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        spawned = spawn(words, variables, self.files.log(order.name))
        try:
            file = self._identify(order, spawned.pid, address_url(self.publish_address, port))
            self.files.write(file)
        except FileExistsError:
            spawned.abandon()
            return self._start(order)  # another call was faster: its process is the one
        except BaseException:
            spawned.abandon()
            raise
        spawned.release()
        return Started(order.name, file.url, LOCAL_HOST)

    def _environment(self, order: StartOrder) -> dict[str, str]:
        """This process's variables without Stoker's own settings, under the definition's."""
        variables = environment(order.definition, self.token)
        self.hidden.update(variables.values())
        return {key: value for key, value in os.environ.items() if not key.startswith("STOKER_")} | variables

    def _identify(self, order: StartOrder, pid: int, url: str) -> ProcessFile:
        mark = start_mark(pid)
        if mark is None:
            raise ChildProcessError("it ended before its command ran")
        owner = self.files.owner
        return ProcessFile(owner.fleet, owner.app, order.name, order.spec, pid, mark, url)

    def resolve(self, definition: InstanceSettings) -> str:
        """A command has no image. Raises ValueError where one is named."""
        if definition.image:
            raise ValueError(
                f"actuator.kind process runs instance.command and no image, was {definition.image!r}: "
                "change instance.command in the settings and start the scaler again"
            )
        check_command(definition)
        return ""

    def stop(self, name: str, host: str, grace_s: float) -> Removed:
        """End the instance's whole session, reap it, remove its files."""
        del host
        self.files.owner.check(name)
        try:
            file = self.files.read(name)
        except ValueError:
            return Removed()  # not ours; the census has it as a fault
        if file is None:
            return Removed()
        before = self._found(file)
        if not self.children.end(file.pid, file.mark, grace_s):
            raise RuntimeError(f"{name}: process {file.pid} still runs after SIGKILL")
        self.children.forget(file.pid)
        log = last_lines(self.files.log_tail(name), self.hidden)
        self.files.remove(name)
        return Removed(log, before.exit_code)

    def running(self) -> Census:
        """Every instance that has a file; those that cannot be believed are faults. Also rotates the outputs."""
        asked_at = self.now()
        files, faults = self._files()
        for file in files:
            self.files.rotate(file.name, int(self.log_size[:-1]) * UNITS[self.log_size[-1]])
        return Census(asked_at, tuple(self._found(file) for file in files), HOSTS, HOSTS, tuple(faults))

    def _files(self) -> tuple[list[ProcessFile], list[str]]:
        files: list[ProcessFile] = []
        faults: list[str] = []
        for name in self.files.names():
            try:
                file = self.files.read(name)
            except ValueError as error:
                faults.append(str(error))
            else:
                files += [file] if file else []
        return files, faults

    def _found(self, file: ProcessFile) -> Found:
        code = self.children.reap(file.pid)
        if start_mark(file.pid) == file.mark:
            return Found(file.name, LOCAL_HOST, file.spec, file.url)
        log = last_lines(self.files.log_tail(file.name), self.hidden)
        return Found(file.name, LOCAL_HOST, file.spec, running=False, exit_code=code, log=log)
