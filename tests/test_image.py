"""The container image and the compose file say what their documentation promises."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # its stubs are not among what we install

ROOT = Path(__file__).resolve().parents[1]
ENGINE = "/var/run/docker.sock"


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "example" / "compose.yml").read_text(encoding="utf-8"))
    return found


def test_the_base_is_an_argument_of_both_stages() -> None:
    found = instructions()
    assert ("ARG", "BASE=python:3.13-slim") == found[0]
    assert ["${BASE} AS build", "${BASE}"] == [rest for word, rest in found if word == "FROM"]


def test_every_argument_that_the_documentation_names_is_one_of_the_build() -> None:
    named = re.findall(r"--build-arg (\w+)=", (ROOT / "docs" / "container.md").read_text(encoding="utf-8"))
    arguments = {rest.partition("=")[0] for word, rest in instructions() if word == "ARG"}
    assert {"BASE", "PIP_INDEX_URL"} == arguments == set(named)


def test_it_does_not_run_as_root() -> None:
    users = [rest for word, rest in instructions() if word == "USER"]
    assert ["10001:10001"] == users


def test_its_state_can_be_written_though_its_root_is_read_only() -> None:
    [place] = [rest for word, rest in instructions() if word == "VOLUME"]
    settings = [rest for word, rest in instructions() if word == "ENV"]
    assert f"STOKER_STATE_DIR={place}" in settings[0].split()


def test_what_it_runs_is_an_argument_list_and_gets_signals_itself() -> None:
    [command] = [rest for word, rest in instructions() if word == "CMD"]
    assert ["stoker", "--help"] == json.loads(command)


def test_every_package_of_ours_and_nothing_else_goes_into_the_build() -> None:
    wanted = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert {"pyproject.toml", "constraints.txt", "README.md", "LICENSE"} == wanted - packages
    assert packages <= wanted


def test_only_the_scaler_gets_the_engines_socket() -> None:
    services = compose()["services"]
    with_socket = {
        name for name, service in services.items() if any(ENGINE in one for one in service.get("volumes", ()))
    }
    assert {"scaler"} == with_socket
    assert {"store", "proxy", "scaler", "web"} == set(services)


def test_every_service_of_ours_runs_without_rights_of_its_own() -> None:
    ours = [service for service in compose()["services"].values() if service["image"] == "stoker:local"]
    assert [(True, ["ALL"])] * 3 == [(service["read_only"], service["cap_drop"]) for service in ours]


def test_the_services_run_commands_that_the_image_has() -> None:
    commands = [shlex.split(service["command"])[0] for service in compose()["services"].values()]
    assert {"valkey-server", "mitmdump", "stoker"} == set(commands)


def test_every_variable_of_the_services_is_a_setting() -> None:
    from fleet.settings import Settings

    known = {f"STOKER_{name}".upper() for name in Settings.model_fields}
    for service in compose()["services"].values():
        for name in service.get("environment", {}):
            assert name.partition("__")[0] in known
