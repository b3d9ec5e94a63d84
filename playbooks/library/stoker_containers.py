"""The Ansible module that starts or removes all instances of one host in one run; it runs on that host, Python 3.8 up.

One run instead of one `community.docker.docker_container` an instance: most of a run's cost is the interpreter and its
imports. It stands on community.docker's client, so it takes the options and variables of that collection's modules.
"""

from __future__ import annotations

import math
import shlex
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from ansible.module_utils.common.text.formatters import human_to_bytes
from ansible_collections.community.docker.plugins.module_utils._api.errors import APIError, ImageNotFound, NotFound

try:
    from ansible_collections.community.docker.plugins.module_utils.common_api import AnsibleDockerClient
except ImportError:  # its name from community.docker 5 on
    from ansible_collections.community.docker.plugins.module_utils._common_api import AnsibleDockerClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Instance = dict[str, Any]  # of the play: name, host, spec

DOCUMENTATION = r"""
module: stoker_containers
short_description: Start or remove the instances of one host
description:
  - Starts what is absent and leaves alone what runs, or stops and removes it. Instances do not depend on each other.
  - A container without all labels of its instance is never touched.
  - The options of C(community.docker) which say how the engine is reached are taken as well.
options:
  state: {description: Whether they are to run., type: str, choices: [started, absent], default: started}
  fleet: {description: The label C(stoker.fleet)., type: str, required: true}
  app: {description: The label C(stoker.app)., type: str, required: true}
  instances: {description: Each with C(name) and, to start it, C(spec)., type: list, elements: dict, required: true}
  definitions: {description: What an instance is by spec, as in group_vars/all.yml., type: dict, default: {}}
  publish_address: {description: The address on which their ports are published., type: str, default: 127.0.0.1}
  pulls: {description: Results of C(docker_image_pull) by item., type: list, elements: dict, default: []}
  grace_s: {description: Seconds between the signal to end and the kill., type: float, default: 10}
author: [Stoker]
"""
EXAMPLES = r"""
- name: Start the containers
  stoker_containers:
    fleet: shop
    app: web
    instances: [{name: web1, spec: 0123456789ab}]
    definitions: {0123456789ab: {image: "app:1", port: 3000}}
"""
RETURN = r"""
done: {description: "Of each the url, or C(removed) or C(absent)", type: dict, returned: always}
waiting: {description: The image of each that cannot start before that is pulled., type: dict, returned: always}
failed_instances: {description: The C(reason) and C(exit_code) of each that failed., type: dict, returned: always}
"""
OPTIONS = {
    "state": {"type": "str", "choices": ["started", "absent"], "default": "started"},
    "fleet": {"type": "str", "required": True},
    "app": {"type": "str", "required": True},
    "instances": {"type": "list", "elements": "dict", "required": True},
    "definitions": {"type": "dict", "default": {}},
    "publish_address": {"type": "str", "default": "127.0.0.1"},
    "pulls": {"type": "list", "elements": "dict", "default": []},
    "grace_s": {"type": "float", "default": 10.0},
}
STARTS_AT_ONCE = 8
STOPS_AT_ONCE = 20  # they mostly wait
CREATE_S = 60
ID = "sha256:"  # an image by its id is on the engine or nowhere
SHORTEST_SECRET = 4  # a shorter value is no secret, and hiding every "1" would make a reason unreadable
LEFT = "; its container is left behind, scale_down.yml removes it"


class InstanceError(Exception):
    """Why one instance does not run."""

    def __init__(self, reason: str, exit_code: int | None = None, *, is_left: bool = False) -> None:
        super().__init__(reason + (LEFT if is_left else ""))
        self.exit_code = exit_code


class Waiting(Exception):  # noqa: N818  # not an error: the play pulls the image, then asks again
    """The image that an instance waits for."""


class Engine(Protocol):
    """What is used of AnsibleDockerClient."""

    def get_json(self, path: str, *parts: str) -> dict[str, Any]:
        """Ask."""

    def post_json(
        self, path: str, *parts: str, data: dict[str, Any] | None = None, params: dict[str, Any] | None = None
    ) -> None:
        """Have something done."""

    def post_call(self, path: str, *parts: str, params: dict[str, Any] | None = None) -> None:
        """Have something done, with nothing to say about it."""

    def delete_call(self, path: str, *parts: str, params: dict[str, Any] | None = None) -> None:
        """Have something removed."""


class Host:
    """The engine of one host, with what the play says of it."""

    def __init__(self, engine: Engine, params: dict[str, Any], *, is_check: bool = False) -> None:
        self._engine = engine
        self._given = params
        self._is_check = is_check
        self._pulls: dict[str, dict[str, Any]] = {one["item"]: one for one in params["pulls"]}

    def start(self, instance: Instance) -> tuple[str, bool]:
        """Its url, and whether that changed anything; no url in check mode, where it would be started."""
        definition = self._given["definitions"][instance["spec"]]
        there = self._look(instance["name"])
        if there is not None and not self._is_ours(there, instance):
            raise InstanceError("the name is taken by a container that is not this instance")
        if there is not None and there["State"]["Status"] == "running":
            return _url(there, definition), False
        if there is not None and there["State"]["Status"] != "created":
            raise InstanceError("it has exited already", _exit_code(there), is_left=True)
        if self._is_check:
            return "would be started", True
        if there is None:
            self._create(instance, definition)
        return self._begin(instance, definition), True

    def _look(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._engine.get_json("/containers/{0}/json", name)
        except NotFound:
            return None
        return found if found["Name"] == f"/{name}" else None  # the engine also takes a name for an id's beginning

    def _labels(self, instance: Instance) -> dict[str, str]:
        marks = {"stoker.fleet": self._given["fleet"], "stoker.app": self._given["app"]}
        return {**marks, "stoker.name": instance["name"], "stoker.spec": instance["spec"]}

    def _is_ours(self, there: dict[str, Any], instance: Instance) -> bool:
        return self._labels(instance).items() <= (there["Config"]["Labels"] or {}).items()

    def _create(self, instance: Instance, definition: dict[str, Any]) -> None:
        image, pull = definition["image"], definition.get("pull") or "missing"
        pulled = self._pulls.get(image)
        if pull == "always" and pulled is None and not image.startswith(ID):
            raise Waiting(image)
        if pulled is not None and "image" not in pulled:
            raise InstanceError(pulled.get("msg") or f"{image} could not be pulled")
        labels = {**self._labels(instance), "stoker.port": str(definition["port"])}
        body = creation(definition, labels, self._given["publish_address"])
        try:
            self._engine.post_json("/containers/create", data=body, params={"name": instance["name"]})
        except ImageNotFound:
            if pull == "missing" and pulled is None and not image.startswith(ID):
                raise Waiting(image) from None
            raise

    def _begin(self, instance: Instance, definition: dict[str, Any]) -> str:
        try:
            self._engine.post_json("/containers/{0}/start", instance["name"])
        except APIError as error:
            raise InstanceError(_words(error), is_left=True) from error
        there = self._look(instance["name"])
        if there is None:
            raise InstanceError("it is gone already")
        if not there["State"]["Running"]:
            raise InstanceError("it exited at once", _exit_code(there), is_left=True)
        return _url(there, definition)

    def remove(self, instance: Instance) -> tuple[str, bool]:
        """What was done: stopped with grace and removed, or absent already, which a container of others also is."""
        there = self._look(instance["name"])
        labels = (there["Config"]["Labels"] or {}) if there else {}
        if there is None or not self._is_ours(there, {**instance, "spec": labels.get("stoker.spec") or "none"}):
            return "absent", False
        if not self._is_check:
            grace = {"t": math.ceil(self._given["grace_s"])}
            with suppress(NotFound):  # someone else was quicker
                self._engine.post_call("/containers/{0}/stop", there["Id"], params=grace)
                self._engine.delete_call("/containers/{0}", there["Id"], params={"v": True, "force": True})
        return "removed", True


def creation(definition: dict[str, Any], labels: dict[str, str], publish_address: str) -> dict[str, Any]:
    """The body of the engine's create call. Raises ValueError where the definition cannot be said in it."""
    port = f"{int(definition['port'])}/tcp"
    for key, value in (definition.get("env") or {}).items():
        if not isinstance(value, str):
            raise ValueError(f"env.{key} must be a text, in quotes")  # noqa: TRY004  # a user's mistake, not a bug
    command = definition.get("command") or None
    host = {
        "PortBindings": {port: [{"HostIp": publish_address, "HostPort": ""}]},
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": definition.get("log_size") or "10m", "max-file": "2"},
        },
        "Binds": definition.get("volumes") or None,
        "Memory": human_to_bytes(str(definition["memory"])) if definition.get("memory") else None,
        "NanoCpus": round(float(definition["cpus"]) * 1e9) if definition.get("cpus") else None,
        "NetworkMode": definition.get("network") or None,
    }
    return {
        "Image": definition["image"],
        "Cmd": shlex.split(command) if isinstance(command, str) else command,
        "Env": [f"{key}={value}" for key, value in (definition.get("env") or {}).items()],
        "ExposedPorts": {port: {}},
        "Labels": labels,
        "User": definition.get("user") or None,
        "HostConfig": {key: value for key, value in host.items() if value is not None},
    }


def _url(there: dict[str, Any], definition: dict[str, Any]) -> str:
    for binding in (there["NetworkSettings"]["Ports"] or {}).get(f"{definition['port']}/tcp") or ():
        address = f"[{binding['HostIp']}]" if ":" in binding["HostIp"] else binding["HostIp"]
        return f"http://{address}:{binding['HostPort']}"
    raise InstanceError(f"the engine published no port for {definition['port']}/tcp", is_left=True)


def _exit_code(there: dict[str, Any]) -> int | None:
    return int(there["State"]["ExitCode"]) if there["State"]["Status"] == "exited" else None


def _words(error: Exception) -> str:
    if isinstance(error, APIError) and error.explanation:
        return f"the engine refused: {error.explanation}"
    if isinstance(error, (KeyError, TypeError)):
        return f"its definition cannot be used: {type(error).__name__} {error}"
    return str(error) or type(error).__name__


def hidden(reason: str, secrets: Iterable[Any]) -> str:
    """The reason in one line, without the values of the environment."""
    texts = {line for secret in secrets for line in [str(secret), *str(secret).splitlines()]}
    for text in sorted((text for text in texts if len(text) >= SHORTEST_SECRET), key=len, reverse=True):
        reason = reason.replace(text, "[hidden]")
    return " ".join(reason.split())


def results(act: Callable[[Instance], tuple[str, bool]], params: dict[str, Any]) -> dict[str, Any]:
    """What became of each instance, as the play reads it; one's failure is no other's."""
    done: dict[str, str] = {}
    waiting: dict[str, str] = {}
    failed: dict[str, dict[str, Any]] = {}
    changed: list[bool] = []
    lead = "" if params["state"] == "started" else "left behind: "

    def one(instance: Instance) -> None:
        name = instance["name"]
        try:
            answer, is_changed = act(instance)
        except Waiting as image:
            waiting[name] = str(image)
        except Exception as error:  # noqa: BLE001  # whatever it is, the others are to be started
            secrets = (params["definitions"].get(instance.get("spec")) or {}).get("env") or {}
            exit_code = error.exit_code if isinstance(error, InstanceError) else None
            failed[name] = {"reason": hidden(lead + _words(error), secrets.values()), "exit_code": exit_code}
        else:
            done[name] = answer
            changed.append(is_changed)

    with ThreadPoolExecutor(STARTS_AT_ONCE if params["state"] == "started" else STOPS_AT_ONCE) as threads:
        list(threads.map(one, params["instances"]))
    return {"changed": any(changed), "done": done, "waiting": waiting, "failed_instances": failed}


def main() -> None:
    """Do as the play says, and tell it."""
    client = AnsibleDockerClient(argument_spec=OPTIONS, supports_check_mode=True)
    params = client.module.params
    client.timeout = CREATE_S + params["grace_s"]
    host = Host(client, params, is_check=client.module.check_mode)
    act = host.start if params["state"] == "started" else host.remove
    client.module.exit_json(**results(act, params))


if __name__ == "__main__":
    main()
