"""What the demo plays on: a fleet of its own in a temporary folder, run by a real `stoker up`, removed at the end."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from fleet.settings import Settings, load
from stoker.configured import sample_command
from stoker.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from docker import APIClient

END_WITHIN_S = 60.0
MAX = 8
ACTUATORS = ("process", "docker", "ansible")
# Short windows, so that a minute shows what takes ten in production.
POLICY = {
    "max": MAX,
    "target_rps": 10.0,
    "stable_window_s": 6.0,
    "panic_window_s": 2.0,
    "stabilisation_s": 4.0,
}


@dataclass(frozen=True, slots=True)
class Stage:
    """A running fleet. `log` is what its `stoker up` says."""

    settings: Settings
    up: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise CommandError, with its last line, where `stoker up` has ended."""
        if self.up.poll() is not None:
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise CommandError(
                f"demo: stoker up ended: {lines[-1].removeprefix('stoker: ') if lines else 'it said nothing'}"
            )


@contextmanager
def stage(actuator: str, **changes: Mapping[str, object]) -> Iterator[Stage]:
    """Start the fleet; at the end stop it and remove all that there was of it.

    `changes` are settings by table, over those of the demo. Raises CommandError, one line, where it cannot start.
    """
    if actuator not in ACTUATORS:
        raise CommandError(f"demo: --actuator must be process, docker or ansible, was {actuator!r}")
    for name in [name for name in os.environ if name.startswith("STOKER_")]:
        del os.environ[name]  # the demo is the same whatever fleet its user runs
    fleet = "demo-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(8))
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="stoker-demo-"))
        stack.callback(shutil.rmtree, folder)
        instance = {} if actuator == "process" else stack.enter_context(_image(fleet))
        config = folder / "stoker.toml"
        content = _content(actuator, fleet, folder, instance)
        content |= {table: {**content.get(table, {}), **change} for table, change in changes.items()}
        config.write_text(_toml(content), encoding="utf-8")
        log = folder / "up.log"
        with log.open("wb") as output:
            up = _start(config, output)
        stack.callback(_end, up)
        yield Stage(load(config), up, log)


def _start(config: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-P", "-m", "stoker", "up", "--config", str(config)]
    return subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    )


def _end(up: subprocess.Popen[bytes]) -> None:
    up.send_signal(signal.SIGINT)
    try:
        up.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        up.send_signal(signal.SIGINT)  # the second one hurries
        up.wait()


def _content(actuator: str, fleet: str, folder: Path, instance: dict[str, Any]) -> dict[str, Any]:
    hand: dict[str, Any] = {"kind": actuator}
    if actuator == "ansible":
        hand["inventory"] = str(_inventory(folder))
    return {
        "fleet": fleet,
        # An engine knows each name once, of whatever fleet: instances of somebody's own shop may run on it.
        "app": "shop" if actuator == "process" else f"shop-{fleet[-4:]}",
        "state_dir": str(folder),
        "policy": POLICY,
        "instance": instance or {"command": sample_command()},
        "actuator": hand,
        "proxy": {"listen_port": _free_port()},
        "life": {"stop_grace_s": 2.0},
        "web": {"enabled": False},
    }


def _inventory(folder: Path) -> Path:
    path = folder / "inventory.yml"
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    if "DOCKER_HOST" in os.environ:
        here["stoker_docker_host"] = os.environ["DOCKER_HOST"]
    path.write_text(json.dumps({"stoker": {"hosts": {"here": here}}}), encoding="utf-8")  # JSON is YAML
    return path


@contextmanager
def _image(fleet: str) -> Iterator[dict[str, Any]]:
    from docker import APIClient
    from docker.errors import DockerException
    from docker.utils import kwargs_from_env

    from stoker.demo.image import PORT, build

    try:
        client: APIClient = APIClient(**kwargs_from_env(), version="auto")
    except DockerException as error:
        raise CommandError("demo: no container engine answers; start one, or use --actuator process") from error
    name = build(client, f"stoker-{fleet}")
    try:
        yield {"image": name, "port": PORT, "pull": "never"}
    finally:
        client.remove_image(name)
        client.close()


def _toml(content: dict[str, Any]) -> str:
    """Tables of values."""
    plain = {key: value for key, value in content.items() if not isinstance(value, dict)}
    lines = [f"{key} = {_value(value)}" for key, value in plain.items()]
    for table, values in content.items():
        if isinstance(values, dict):
            lines += [f"\n[{table}]", *(f"{key} = {_value(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """JSON's strings, numbers and lists are TOML's too."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_value(item)}' for key, item in value.items())} }}"
    return json.dumps(value)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
