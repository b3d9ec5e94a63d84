"""The module that starts and removes the instances of one host, on an engine that only remembers."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.community.docker.plugins.module_utils._api.errors import APIError, ImageNotFound, NotFound

from playbooks.library.stoker_containers import Host, creation, hidden, results

SPEC = "0123456789ab"
LABELS = {"stoker.fleet": "shop", "stoker.app": "web", "stoker.name": "web1", "stoker.spec": SPEC}
UNREADABLE = b"unreadable"
LEFT = "; its container is left behind, scale_down.yml removes it"


@dataclass
class Engine:
    """Holds containers by name.

    `exits` are those whose command ends at once, `short_lived` a moment later, `broken` those that it cannot start.
    """

    images: set[str] = field(default_factory=lambda: {"app:1"})
    exits: set[str] = field(default_factory=set)
    short_lived: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    there: dict[str, dict[str, Any]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    log: bytes = b""

    def put(self, name: str, status: str, labels: dict[str, str], address: str = "10.0.0.1") -> None:
        state = {"Status": status, "Running": status == "running", "ExitCode": 3 if status == "exited" else 0}
        ports = {"3000/tcp": [{"HostIp": address, "HostPort": "32768"}]}
        self.there[name] = {
            "Id": f"id-{name}",
            "Name": f"/{name}",
            "State": state,
            "Config": {"Labels": labels, "Env": ["PASSWORD=hunter2"]},
            "NetworkSettings": {"Ports": ports if status == "running" else {}},
        }

    def end_the_short_lived(self) -> None:
        for name in self.short_lived & self.there.keys():
            self.put(name, "exited", self.there[name]["Config"]["Labels"])

    def get_binary(self, path: str, *parts: str, params: dict[str, Any] | None = None) -> bytes:
        assert path == "/containers/{0}/logs"
        assert params == {"stdout": 1, "stderr": 1, "tail": 20}
        assert parts[0].removeprefix("id-") in self.there
        if self.log == UNREADABLE:
            raise APIError("501", explanation="configured logging driver does not support reading")
        return self.log

    def get_json(self, path: str, *parts: str, params: dict[str, Any] | None = None) -> Any:  # JSON
        if path == "/containers/json":
            assert params == {"all": 1, "filters": json.dumps({"label": ["stoker.fleet=shop", "stoker.app=web"]})}
            return [
                {
                    "Id": name,
                    "Names": [one["Name"]],
                    "Labels": one["Config"]["Labels"],
                    "State": one["State"]["Status"],
                    "Status": "as it is",
                    "Ports": [],
                    "Image": "app:1",
                }
                for name, one in self.there.items()
            ]
        assert path == "/containers/{0}/json"
        if parts[0] not in self.there:
            raise NotFound("no such container")
        return self.there[parts[0]]

    def post_json(
        self, path: str, *parts: str, data: dict[str, Any] | None = None, params: dict[str, Any] | None = None
    ) -> None:
        if path == "/containers/create" and data and params:
            if data["Image"] not in self.images:
                raise ImageNotFound("404", explanation=f"No such image: {data['Image']}")
            self.put(params["name"], "created", data["Labels"])
            self.done.append(f"create {params['name']}")
            return
        assert path == "/containers/{0}/start"
        name = parts[0]
        if name in self.broken:
            raise APIError("500", explanation='"PASSWORD=hunter2" is no\nprogram')
        self.put(name, "exited" if name in self.exits else "running", self.there[name]["Config"]["Labels"])
        self.done.append(f"start {name}")

    def post_call(self, path: str, *parts: str, params: dict[str, Any] | None = None) -> None:
        assert path == "/containers/{0}/stop"
        self.done.append(f"stop {parts[0]} {params}")

    def delete_call(self, path: str, *parts: str, params: dict[str, Any] | None = None) -> None:
        assert path == "/containers/{0}"
        assert params == {"v": True, "force": True}
        self.done.append(f"delete {parts[0]}")
        del self.there[parts[0].removeprefix("id-")]


def written(*pieces: str) -> bytes:
    """A log as the engine frames it."""
    return b"".join(struct.pack(">BxxxL", 1, len(piece)) + piece.encode() for piece in pieces)


def listing() -> dict[str, Any]:
    return {"fleet": "shop", "app": "web", "pulls": []}


def played(engine: Engine, *names: str, is_check: bool = False, **changes: Any) -> dict[str, Any]:
    params = {
        "state": "started",
        "fleet": "shop",
        "app": "web",
        "instances": [{"name": name, "host": "alpha", "spec": SPEC} for name in names or ("web1",)],
        "definitions": {SPEC: {"image": "app:1", "port": 3000, "env": {"PASSWORD": "hunter2"}}},
        "publish_address": "10.0.0.1",
        "pulls": [],
        "grace_s": 1.5,
        **changes,
    }
    host = Host(engine, params, is_check=is_check, pause=lambda _: engine.end_the_short_lived())
    return results(host.start if params["state"] == "started" else host.remove, params)


def reason(answer: dict[str, Any], name: str = "web1") -> str:
    assert not answer["changed"] or len(answer["done"]) > 0
    return str(answer["failed_instances"][name]["reason"])


def test_what_is_absent_is_started_and_a_second_run_changes_nothing() -> None:
    engine = Engine()
    url = {"web1": "http://10.0.0.1:32768"}
    nothing: dict[str, Any] = {"left": {}, "waiting": {}, "failed_instances": {}}
    assert played(engine) == {"changed": True, "done": url, **nothing}
    assert played(engine) == {"changed": False, "done": url, **nothing}
    assert engine.done == ["create web1", "start web1"]
    assert engine.there["web1"]["Config"]["Labels"] == {**LABELS, "stoker.port": "3000"}


def test_what_an_earlier_run_created_is_started() -> None:
    engine = Engine()
    engine.put("web1", "created", LABELS)
    assert played(engine)["done"] == {"web1": "http://10.0.0.1:32768"}
    assert engine.done == ["start web1"]


def test_an_address_of_ip_6_stands_in_brackets() -> None:
    engine = Engine()
    engine.put("web1", "running", LABELS, "fd00::1")
    assert played(engine)["done"] == {"web1": "http://[fd00::1]:32768"}


@pytest.mark.parametrize("status", ["running", "created", "exited"])
@pytest.mark.parametrize("label", sorted(LABELS))
def test_a_container_with_one_label_of_others_or_none_is_never_touched(label: str, status: str) -> None:
    others = [LABELS | {label: "another"}, {key: value for key, value in LABELS.items() if key != label}]
    for labels in others:
        engine = Engine()
        engine.put("web1", status, labels)
        assert reason(played(engine)) == "the name is taken by a container that is not this instance"
        gone = played(engine, state="absent")
        is_ours = label == "stoker.spec" and label in labels  # whatever its definition was, it is this instance
        assert gone["done"] == {"web1": "removed" if is_ours else "absent"}
        assert is_ours or engine.done == []


def test_a_container_whose_id_begins_like_the_name_is_another() -> None:
    engine = Engine()
    engine.put("web1", "running", LABELS)
    engine.there["web1"]["Name"] = "/db"
    assert played(engine, state="absent")["done"] == {"web1": "absent"}
    assert engine.done == []


def test_one_that_fails_says_why_and_the_others_start() -> None:
    engine = Engine(exits={"web2"}, broken={"web3"}, log=written("the password is hunter2\n", "good\x1b[1mbye\n"))
    engine.put("web4", "exited", {**LABELS, "stoker.name": "web4"})
    answer = played(engine, "web1", "web2", "web3", "web4", "web5")
    assert sorted(answer["done"]) == ["web1", "web5"]
    said = ("the password is [hidden]", "goodbye")
    assert answer["failed_instances"] == {
        "web2": {"reason": "it exited at once" + LEFT, "exit_code": 3, "log": said},
        "web3": {
            "reason": 'the engine refused: "PASSWORD=[hidden]" is no program' + LEFT,
            "exit_code": None,
            "log": (),
        },
        "web4": {"reason": "it has exited already" + LEFT, "exit_code": 3, "log": said},
    }


def test_one_that_ends_a_moment_after_its_start_is_no_start() -> None:
    engine = Engine(short_lived={"web1"}, log=written("no database\n"))
    expected = {"reason": "it exited at once" + LEFT, "exit_code": 3, "log": ("no database",)}
    assert played(engine)["failed_instances"] == {"web1": expected}


def test_of_what_is_removed_and_of_what_has_ended_the_last_words_are_told() -> None:
    engine = Engine(log=written("".join(f"line {number}\n" for number in range(30)), "\n", "x" * 400))
    engine.put("web1", "exited", LABELS)
    engine.put("web2", "running", {**LABELS, "stoker.name": "web2"})
    words = (*(f"line {number}" for number in range(11, 30)), "x" * 300)
    found = {one["Names"][0]: one.get("log") for one in Host(engine, listing()).listed()}
    assert found == {"/web1": words, "/web2": None}
    gone = played(engine, "web1", "web2", state="absent")
    assert gone["left"] == {"web1": {"exit_code": 3, "log": words}, "web2": {"exit_code": None, "log": words}}


def test_a_log_on_a_terminal_has_no_frames_and_one_that_cannot_be_read_keeps_nothing_back() -> None:
    engine = Engine(log=b"plain\n")
    engine.put("web1", "exited", LABELS)
    engine.there["web1"]["Config"]["Tty"] = True
    assert [one["log"] for one in Host(engine, listing()).listed()] == [("plain",)]
    engine.log = UNREADABLE
    gone = played(engine, state="absent")
    assert (gone["done"], gone["left"]) == ({"web1": "removed"}, {"web1": {"exit_code": 3, "log": ()}})


def test_a_port_that_is_not_published_is_no_start() -> None:
    engine = Engine()
    engine.put("web1", "running", LABELS)
    engine.there["web1"]["NetworkSettings"]["Ports"] = {"3000/tcp": None}
    assert reason(played(engine)) == "the engine published no port for 3000/tcp" + LEFT


@pytest.mark.parametrize(
    ("pull", "images", "waits"),
    [("missing", set(), True), ("always", {"app:1"}, True), ("missing", {"app:1"}, False), ("never", set(), False)],
)
def test_an_instance_waits_for_its_image_where_its_definition_says_so(
    pull: str, images: set[str], *, waits: bool
) -> None:
    engine = Engine(images)
    answer = played(engine, definitions={SPEC: {"image": "app:1", "port": 3000, "pull": pull}})
    assert answer["waiting"] == ({"web1": "app:1"} if waits else {})
    assert answer["changed"] is (pull == "missing" and not waits)
    if pull == "never":
        assert reason(answer) == "the engine refused: No such image: app:1"


def test_after_a_pull_it_waits_no_more() -> None:
    always = {SPEC: {"image": "app:1", "port": 3000, "pull": "always"}}
    pulled = [{"item": "app:1", "image": {"Id": "x"}}]
    assert played(Engine(), definitions=always, pulls=pulled)["done"] == {"web1": "http://10.0.0.1:32768"}
    assert reason(played(Engine(set()), pulls=pulled)) == "the engine refused: No such image: app:1"
    refused = [{"item": "app:1", "msg": "no route to the registry"}]
    assert reason(played(Engine(), definitions=always, pulls=refused)) == "no route to the registry"


def test_a_check_touches_nothing_and_says_what_would_be() -> None:
    engine = Engine()
    assert played(engine, is_check=True)["done"] == {"web1": "would be started"}
    engine.put("web1", "running", LABELS)
    gone = played(engine, is_check=True, state="absent")
    left = {"web1": {"exit_code": None, "log": ()}}
    assert gone == {"changed": True, "done": {"web1": "removed"}, "left": left, "waiting": {}, "failed_instances": {}}
    assert engine.done == []


def test_what_is_ours_is_stopped_with_grace_and_removed_and_absent_stays_so() -> None:
    engine = Engine()
    engine.put("web1", "running", LABELS)
    answer = played(engine, "web1", "web2", state="absent", definitions={})
    assert answer["done"] == {"web1": "removed", "web2": "absent"}
    assert engine.done == ["stop id-web1 {'t': 2}", "delete id-web1"]
    assert played(engine, state="absent")["changed"] is False


def test_the_whole_definition_is_said_in_the_engines_words() -> None:
    definition = {
        "image": "app:1",
        "port": 3000,
        "command": ["serve", "--fast"],
        "env": {"A": "1"},
        "network": "inside",
        "volumes": ["/data:/data:ro"],
        "memory": "512m",
        "cpus": 0.5,
        "user": "app",
        "log_size": "1m",
    }
    assert creation(definition, LABELS, "10.0.0.1") == {
        "Image": "app:1",
        "Cmd": ["serve", "--fast"],
        "Env": ["A=1"],
        "ExposedPorts": {"3000/tcp": {}},
        "Labels": LABELS,
        "User": "app",
        "HostConfig": {
            "PortBindings": {"3000/tcp": [{"HostIp": "10.0.0.1", "HostPort": ""}]},
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}},
            "Binds": ["/data:/data:ro"],
            "Memory": 512 << 20,
            "NanoCpus": 500_000_000,
            "NetworkMode": "inside",
        },
    }
    short = creation({"image": "app:1", "port": 3000, "command": "serve 'a b'"}, {}, "10.0.0.1")
    assert short["Cmd"] == ["serve", "a b"]
    assert sorted(short["HostConfig"]) == ["LogConfig", "PortBindings", "RestartPolicy"]


def test_a_definition_that_cannot_be_used_is_told_without_its_values() -> None:
    unquoted = {SPEC: {"image": "app:1", "port": 3000, "env": {"PIN": 1234}}}
    assert reason(played(Engine(), definitions=unquoted)) == "env.PIN must be a text, in quotes"
    assert reason(played(Engine(), definitions={SPEC: {"image": "app:1"}})).startswith(
        "its definition cannot be used: "
    )
    assert reason(played(Engine(), definitions={})) == f"its definition cannot be used: KeyError '{SPEC}'"


def test_secrets_are_hidden_longest_first_and_short_values_are_none() -> None:
    assert hidden("at 1: abcdef\nabcd", ["abcd", "abcdef", "1"]) == "at 1: [hidden] [hidden]"
