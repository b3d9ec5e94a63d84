"""What the actuators' tests are made of: a hand of each kind over real things, with good and bad apps."""

from __future__ import annotations

import json
import queue
import shutil
import sys
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.settings import InstanceSettings, Settings
from scaler.actuators.actuator import Actuator, StartOrder
from scaler.actuators.definition import definition_hash
from scaler.actuators.docker import DockerActuator
from scaler.actuators.opening import open_actuator
from scaler.actuators.probe import Prober

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaler.messages import Outcome
    from tests.engine import Engine

SECRET = "hunter2-hunter2"
LETTERS = str.maketrans("0123456789", "ghijklmnop")
SERVER = """
import http.server, sys
class Up(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500 if sys.argv[2] == "bad" else 200)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Up).serve_forever()
"""


@dataclass
class Hand:
    """An actuator's settings, and how its apps are made to misbehave. `good` and so on are instance definitions."""

    settings: Settings
    host: str
    good: InstanceSettings
    bad: InstanceSettings
    silent: InstanceSettings
    exits: InstanceSettings
    unknown: InstanceSettings
    opened: list[Actuator] = field(default_factory=list)

    def open(self) -> Actuator:
        actuator = open_actuator(self.settings, lambda: 7.0)
        self.opened.append(actuator)
        return actuator

    def close(self) -> None:
        for actuator in self.opened:
            if isinstance(actuator, DockerActuator):
                actuator.client.close()

    def actuator_settings(self, **changes: object) -> None:
        changed = self.settings.actuator.model_copy(update=changes)
        self.settings = self.settings.model_copy(update={"actuator": changed})

    def name(self, number: int) -> str:
        return f"{self.settings.app}{number}"

    def order(self, number: int, definition: InstanceSettings, host: str | None = None) -> StartOrder:
        return StartOrder(self.name(number), host or self.host, definition_hash(definition), definition)


def word_of_its_own() -> str:
    """For a fleet or an app: containers of all fleets share the engine's one space of names."""
    return "t-" + uuid.uuid4().hex[:16].translate(LETTERS)


def process_definition(*words: str) -> InstanceSettings:
    return InstanceSettings(command=words, env={"PASSWORD": SECRET})


def process_server(how: str = "good") -> InstanceSettings:
    return process_definition(sys.executable, "-I", "-S", "-c", SERVER, "{port}", how)


def process_hand(folder: Path) -> Hand:
    good = process_server()
    return Hand(
        Settings(
            fleet=word_of_its_own(),
            app=word_of_its_own(),
            state_dir=folder,
            actuator={"kind": "process"},
            instance=good,
        ),
        "local",
        good,
        process_server("bad"),
        process_definition("sleep", "3600.{port}"),
        process_definition("sh", "-c", 'echo "cannot start {port}: the password is $PASSWORD"; exit 3'),
        process_definition("there-is-no-such-program", "{port}"),
    )


def image_definition(engine: Engine, *words: str) -> InstanceSettings:
    return InstanceSettings(image=engine.image, command=words, env={"PASSWORD": SECRET}, log_size="64k")


def container_hand(engine: Engine, folder: Path, host: str, **actuator: object) -> Hand:
    good = image_definition(engine)
    return Hand(
        Settings(fleet=word_of_its_own(), app=word_of_its_own(), state_dir=folder, actuator=actuator, instance=good),
        host,
        good,
        image_definition(engine, "/bin/bad"),
        image_definition(engine, "/bin/silent"),
        image_definition(engine, "/bin/exits"),
        good.model_copy(update={"image": "127.0.0.1:1/unknown:1", "pull": "never"}),
    )


def docker_hand(engine: Engine, folder: Path) -> Hand:
    return container_hand(engine, folder, "local", kind="docker", docker_host=engine.address)


def inventory(engine: Engine, folder: Path, **others: dict[str, object]) -> Path:
    """An inventory of this machine, called alpha, and of the others given."""
    here = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "stoker_docker_host": engine.address,
    }
    path = folder / "inventory.yml"
    path.write_text(json.dumps({"stoker": {"hosts": {"alpha": here, **others}}}), encoding="utf-8")
    return path


def ansible_hand(engine: Engine, folder: Path) -> Hand:
    return container_hand(engine, folder, "alpha", kind="ansible", inventory=inventory(engine, folder))


@contextmanager
def folder_of_its_own() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="stoker-hand-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def await_outcome(url: str, wanted: Outcome, path: str = "/up") -> None:
    """Probe until it is so; pytest's timeout is the deadline."""
    outcomes: queue.Queue[Outcome] = queue.Queue()
    prober = Prober(path, 1.0, lambda _name, outcome, _detail: outcomes.put(outcome))
    prober.start()
    prober.set_targets([("one", url, 0.02)])
    while outcomes.get() is not wanted:
        pass
    prober.close()
