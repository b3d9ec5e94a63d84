"""Whether instances can be run: the engine or the hosts, the image, what the instance definition names."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, DockerException, NotFound

from fleet.errors import SettingsError
from scaler.actuators.docker import DockerActuator, explained
from scaler.actuators.inventory import program, read_hosts
from scaler.actuators.opening import open_actuator
from stoker.doctor.finding import Finding, note, ok, skipped, wrong

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from docker import APIClient

    from fleet.settings import Settings

OLDEST_API = (1, 41)


def check_engine(settings: Settings) -> list[Finding]:
    """By the kind of the actuator."""
    match settings.actuator.kind:
        case "docker":
            return _docker(settings)
        case "ansible":
            return _ansible(settings)
        case "process":
            return _process(settings)


def _docker(settings: Settings) -> list[Finding]:
    try:
        actuator = open_actuator(settings)
    except SettingsError as error:
        if str(error).startswith("instance.env_file"):
            return [skipped("engine", "instance.env_file has to be corrected first")]  # which another finding says
        return [wrong("engine", str(error), _remedy(str(error)))]
    assert isinstance(actuator, DockerActuator)  # noqa: S101  # by the kind
    client = actuator.client
    try:
        with explained():
            about: dict[str, Any] = client.version()
            return [_version(about), *_image(client, settings), *_network(client, settings)]
    except RuntimeError as error:
        return [wrong("engine", str(error), "see its log")]
    finally:
        client.close()


def _remedy(error: str) -> str:
    if "ermission denied" in error:
        return "run Stoker as a user of the group docker (usermod -aG docker <user>, then log in again), or as root"
    if "No such file" in error or "refused" in error:
        return "start the engine (systemctl start docker), or name it in actuator.docker_host"
    return "correct the setting"


def _version(about: dict[str, Any]) -> Finding:
    version, api = str(about.get("Version", "?")), str(about.get("ApiVersion", "0"))
    if tuple(int(part) for part in api.split(".") if part.isdigit()) < OLDEST_API:
        return wrong("engine", f"version {version} speaks API {api}", "use Docker 20.10 or newer")
    return ok("engine", f"version {version}, API {api}")


def _image(client: APIClient, settings: Settings) -> list[Finding]:
    definition = settings.instance
    image, pull = definition.image, definition.pull
    try:
        inspect: Callable[[str], dict[str, Any]] = client.inspect_image
        found = inspect(image)
    except NotFound:
        if pull == "never":
            return [wrong("image", f"{image} is not there and instance.pull is never", f"docker pull {image}")]
        return [_pullable(client, image)]
    if pull == "always":
        return [_pullable(client, image)]
    return [ok("image", f"{image} is there ({str(found.get('Id', ''))[7:19]})")]


def _pullable(client: APIClient, image: str) -> Finding:
    try:
        inspect: Callable[[str], object] = client.inspect_distribution
        inspect(image)
    except (APIError, DockerException) as error:
        said = " ".join(str(getattr(error, "explanation", None) or error).split())[:200]
        remedy = "correct instance.image, docker login its registry, or see that this host reaches it"
        return wrong("image", f"{image} cannot be pulled: {said}", remedy)
    return ok("image", f"{image} can be pulled")


def _network(client: APIClient, settings: Settings) -> list[Finding]:
    network = settings.instance.network
    if network is None:
        return []
    try:
        client.inspect_network(network)
    except NotFound:
        return [wrong("network", f"instance.network {network} is not there", f"docker network create {network}")]
    return [ok("network", f"{network} is there")]


def _ansible(settings: Settings) -> list[Finding]:
    inventory = settings.actuator.inventory
    try:
        player = program("ansible-playbook")
        hosts = read_hosts(inventory, settings.actuator.group) if inventory else frozenset()
    except SettingsError as error:
        return [wrong("ansible", str(error), "correct the inventory; playbooks/inventory.example.yml is one")]
    names = ", ".join(sorted(hosts)[:5])
    ping = f"ansible -i {inventory} {settings.actuator.group} -m ping"
    return [
        ok("ansible", f"{player}; {len(hosts)} hosts: {names}"),
        skipped("image", f"whether the hosts can pull it is not asked; `{ping}` asks whether they answer"),
    ]


def _process(settings: Settings) -> list[Finding]:
    command = settings.instance.command
    if not command:
        return [skipped("command", "instance.command is empty: `stoker up` without settings runs a sample app")]
    if shutil.which(command[0]) is None:
        remedy = "name a program that is installed in instance.command"
        return [wrong("command", f"{command[0]} is not found or may not be run", remedy)]
    return [ok("command", shutil.which(command[0]) or command[0])]


def secret_file(setting: str, path: Path) -> Finding:
    """A file that may hold secrets should be nobody else's to read."""
    try:
        mode = path.expanduser().stat().st_mode
    except OSError as error:
        return wrong(setting, f"{path}: {error.strerror}", "correct the path, or write the file")
    if not os.access(path.expanduser(), os.R_OK):
        return wrong(setting, f"{path} may not be read by this user", f"chown it to the user that runs Stoker: {path}")
    if mode & 0o007:
        return note(setting, f"{path} may be read by everybody on this machine", f"chmod o= {path}")
    return ok(setting, f"{path} can be read")
