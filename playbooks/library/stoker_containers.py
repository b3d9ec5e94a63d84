"""The Ansible module that starts, removes or lists all instances of one host in one run, there, by Python 3.8 or newer.

One run instead of one `community.docker.docker_container` an instance: most of a run's cost is the interpreter and its
imports. It stands on community.docker's client, so it takes the options and variables of that collection's modules.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ansible.module_utils.common.text.formatters import human_to_bytes
from ansible_collections.community.docker.plugins.module_utils._api.errors import APIError, ImageNotFound, NotFound

try:
    from ansible_collections.community.docker.plugins.module_utils.common_api import AnsibleDockerClient
except ImportError:  # its name from community.docker 5 on
    from ansible_collections.community.docker.plugins.module_utils._common_api import AnsibleDockerClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Instance = dict[str, Any]  # of the play: name, host, spec

DOCUMENTATION = r"""
module: stoker_containers
short_description: Start, remove or list the instances of one host
description:
  - Starts what is absent and leaves alone what runs, or stops and removes it, or lists all that is there.
  - Instances do not depend on each other. Of one that has ended the last lines of its log are told.
  - A container without all labels of its instance is never touched.
  - The options of C(community.docker) which say how the engine is reached are taken as well.
options:
  state: {description: Whether they are to run., type: str, choices: [started, absent, listed], default: started}
  fleet: {description: The label C(stoker.fleet)., type: str, required: true}
  app: {description: The label C(stoker.app)., type: str, required: true}
  instances: {description: Each with C(name) and, to start it, C(spec)., type: list, elements: dict, default: []}
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
done: {description: "Of each the url, or C(removed) or C(absent)", type: dict, returned: unless listed}
left: {description: The C(log) and C(exit_code) of each that was removed., type: dict, returned: unless listed}
waiting: {description: The image of each that cannot start before that is pulled., type: dict, returned: unless listed}
failed_instances: {description: "C(reason), C(exit_code), C(log) of failed ones", type: dict, returned: unless listed}
containers: {description: "The engine's words on each, and the C(log) of what ended", type: list, returned: if listed}
"""
OPTIONS = {
    "state": {"type": "str", "choices": ["started", "absent", "listed"], "default": "started"},
    "fleet": {"type": "str", "required": True},
    "app": {"type": "str", "required": True},
    "instances": {"type": "list", "elements": "dict", "default": []},
    "definitions": {"type": "dict", "default": {}},
    "publish_address": {"type": "str", "default": "127.0.0.1"},
    "pulls": {"type": "list", "elements": "dict", "default": []},
    "grace_s": {"type": "float", "default": 10.0},
}
STARTS_AT_ONCE = 8
STOPS_AT_ONCE = 20  # they mostly wait
CREATE_S = 60
EARLY_S = 0.25  # what ends so soon after its start is told at once, and not by the next census
ID = "sha256:"  # an image by its id is on the engine or nowhere
SHORTEST_SECRET = 4  # a shorter value is no secret, and hiding every "1" would make a reason unreadable
LINES, LINE_LENGTH = 20, 300  # of a log
FRAME = struct.Struct(">BxxxL")  # the engine's, before each piece of a log: 1 or 2 for its stream, and its length
CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[^\t -~\u00a0-\U0010ffff]")
LISTED = ("Names", "Labels", "State", "Status", "Ports")
LEFT = "; its container is left behind, scale_down.yml removes it"


class Ended(NamedTuple):
    """How a container ended, with its last words; no code while it runs."""

    exit_code: int | None = None
    log: tuple[str, ...] = ()


class Done(NamedTuple):
    """What became of one instance: its url, C(removed) or C(absent); what it left is told of one that is removed."""

    answer: str
    is_changed: bool
    left: Ended | None = None


class InstanceError(Exception):
    """Why one instance does not run."""

    def __init__(self, reason: str, ended: Ended | None = None, *, is_left: bool = False) -> None:
        super().__init__(reason + (LEFT if is_left else ""))
        self.ended = ended or Ended()


class Waiting(Exception):  # noqa: N818  # not an error: the play pulls the image, then asks again
    """The image that an instance waits for."""


class Engine(Protocol):
    """What is used of AnsibleDockerClient."""

    def get_json(self, path: str, *parts: str, params: dict[str, Any] | None = None) -> Any:  # noqa: ANN401  # JSON
        """Ask."""

    def get_binary(self, path: str, *parts: str, params: dict[str, Any] | None = None) -> bytes:
        """Ask for what is no JSON."""

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

    def __init__(
        self,
        engine: Engine,
        params: dict[str, Any],
        *,
        is_check: bool = False,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._engine = engine
        self._pause = pause or Event().wait
        self._given = params
        self._is_check = is_check
        self._pulls: dict[str, dict[str, Any]] = {one["item"]: one for one in params["pulls"]}

    def start(self, instance: Instance) -> Done:
        """Its url, and whether that changed anything; no url in check mode, where it would be started."""
        definition = self._given["definitions"][instance["spec"]]
        there = self._look(instance["name"])
        if there is not None and not self._is_ours(there, instance):
            raise InstanceError("the name is taken by a container that is not this instance")
        if there is not None and there["State"]["Status"] == "running":
            return Done(_url(there, definition), is_changed=False)
        if there is not None and there["State"]["Status"] != "created":
            raise InstanceError("it has exited already", self._ended(there), is_left=True)
        if self._is_check:
            return Done("would be started", is_changed=True)
        if there is None:
            self._create(instance, definition)
        return Done(self._begin(instance, definition), is_changed=True)

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
        self._pause(EARLY_S)
        there = self._look(instance["name"])
        if there is None:
            raise InstanceError("it is gone already")
        if not there["State"]["Running"]:
            raise InstanceError("it exited at once", self._ended(there), is_left=True)
        return _url(there, definition)

    def remove(self, instance: Instance) -> Done:
        """What was done: stopped with grace and removed, or absent already, which a container of others also is."""
        there = self._look(instance["name"])
        labels = (there["Config"]["Labels"] or {}) if there else {}
        if there is None or not self._is_ours(there, {**instance, "spec": labels.get("stoker.spec") or "none"}):
            return Done("absent", is_changed=False)
        left = Ended()
        if not self._is_check:
            grace = {"t": math.ceil(self._given["grace_s"])}
            with suppress(NotFound):  # someone else was quicker
                self._engine.post_call("/containers/{0}/stop", there["Id"], params=grace)
                left = self._ended(there)
                self._engine.delete_call("/containers/{0}", there["Id"], params={"v": True, "force": True})
        return Done("removed", is_changed=True, left=left)

    def listed(self) -> list[dict[str, Any]]:
        """Every container with our labels as the engine lists it; of one that has ended also its last words."""
        labels = [f"stoker.fleet={self._given['fleet']}", f"stoker.app={self._given['app']}"]
        params = {"all": 1, "filters": json.dumps({"label": labels})}
        found = []
        for entry in self._engine.get_json("/containers/json", params=params):
            one = {key: entry[key] for key in LISTED}
            if entry["State"] == "exited":
                with suppress(NotFound):  # removed meanwhile
                    one["log"] = self._ended(self._engine.get_json("/containers/{0}/json", entry["Id"])).log
            found.append(one)
        return found

    def _ended(self, there: dict[str, Any]) -> Ended:
        """By what was seen of it; what it wrote to its log may be newer."""
        params = {"stdout": 1, "stderr": 1, "tail": LINES}
        try:
            output = self._engine.get_binary("/containers/{0}/logs", there["Id"], params=params)
        except NotFound:
            raise
        except APIError:  # a logging driver that cannot be read: the code is known all the same
            return Ended(_exit_code(there))
        if not there["Config"].get("Tty"):
            output = b"".join(_pieces(output))
        secrets = [entry.partition("=")[2] for entry in there["Config"].get("Env") or ()]
        return Ended(_exit_code(there), last_lines(output, secrets))


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


def _pieces(output: bytes) -> Iterator[bytes]:
    """A log without the engine's frames; the last piece may be cut."""
    at = 0
    while at + FRAME.size <= len(output):
        _, length = FRAME.unpack_from(output, at)
        yield output[at + FRAME.size : at + FRAME.size + length]
        at += FRAME.size + length


def _scrubbed(text: str, secrets: Iterable[Any]) -> str:
    """The text without the values of the environment."""
    pieces = {line for secret in secrets for line in [str(secret), *str(secret).splitlines()]}
    for piece in sorted((piece for piece in pieces if len(piece) >= SHORTEST_SECRET), key=len, reverse=True):
        text = text.replace(piece, "[hidden]")
    return text


def hidden(reason: str, secrets: Iterable[Any]) -> str:
    """The reason in one line, without the values of the environment."""
    return " ".join(_scrubbed(reason, secrets).split())


def last_lines(output: bytes, secrets: Iterable[Any]) -> tuple[str, ...]:
    """The end of a log, printable, without the values of the environment."""
    lines = _scrubbed(output.decode("utf-8", "replace"), secrets).splitlines()
    return tuple([CONTROL.sub("", line).rstrip()[:LINE_LENGTH] for line in lines if line.strip()][-LINES:])


def results(act: Callable[[Instance], Done], params: dict[str, Any]) -> dict[str, Any]:
    """What became of each instance, as the play reads it; one's failure is no other's."""
    done: dict[str, str] = {}
    left: dict[str, dict[str, Any]] = {}
    waiting: dict[str, str] = {}
    failed: dict[str, dict[str, Any]] = {}
    changed: list[bool] = []
    lead = "" if params["state"] == "started" else "left behind: "

    def one(instance: Instance) -> None:
        name = instance["name"]
        try:
            became = act(instance)
        except Waiting as image:
            waiting[name] = str(image)
        except Exception as error:  # noqa: BLE001  # whatever it is, the others are to be started
            secrets = (params["definitions"].get(instance.get("spec")) or {}).get("env") or {}
            ended = error.ended if isinstance(error, InstanceError) else Ended()
            failed[name] = {"reason": hidden(lead + _words(error), secrets.values()), **ended._asdict()}
        else:
            done[name] = became.answer
            changed.append(became.is_changed)
            if became.left is not None:
                left[name] = became.left._asdict()

    with ThreadPoolExecutor(STARTS_AT_ONCE if params["state"] == "started" else STOPS_AT_ONCE) as threads:
        list(threads.map(one, params["instances"]))
    return {"changed": any(changed), "done": done, "left": left, "waiting": waiting, "failed_instances": failed}


def main() -> None:
    """Do as the play says, and tell it."""
    client = AnsibleDockerClient(argument_spec=OPTIONS, supports_check_mode=True)
    params = client.module.params
    client.timeout = CREATE_S + params["grace_s"]
    host = Host(client, params, is_check=client.module.check_mode)
    if params["state"] == "listed":
        client.module.exit_json(changed=False, containers=host.listed())
    act = host.start if params["state"] == "started" else host.remove
    client.module.exit_json(**results(act, params))


if __name__ == "__main__":
    main()
