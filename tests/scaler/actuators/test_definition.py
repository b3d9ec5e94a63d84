from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleet.errors import SettingsError
from fleet.settings import InstanceSettings
from scaler.actuators.definition import check_command, check_container, definition_hash, environment

if TYPE_CHECKING:
    from pathlib import Path


def definition(**changes: object) -> InstanceSettings:
    return InstanceSettings.model_validate({"image": "app:1", **changes})


def test_the_hash_is_twelve_hex_digits_and_stays_over_releases() -> None:
    assert definition_hash(definition(env={"A": "1"}, memory="64m")) == "e8de6ed4096b"


def test_a_setting_written_at_its_default_is_the_same_definition() -> None:
    assert definition_hash(definition(port=3000, pull="missing")) == definition_hash(definition())


@pytest.mark.parametrize(
    "change",
    [
        {"image": "app:2"},
        {"command": ["a"]},
        {"port": 3001},
        {"env": {"A": "1"}},
        {"env": {"A": "2"}},
        {"env_file": "/etc/app.env"},
        {"network": "back"},
        {"volumes": ["/a:/b"]},
        {"memory": "64m"},
        {"cpus": 0.5},
        {"user": "app"},
    ],
)
def test_every_change_is_another_definition(change: dict[str, object]) -> None:
    hashes = {definition_hash(definition(**one)) for one in ({}, change, {"env": {"A": "3"}})}
    assert len(hashes) == 3


def test_env_file_is_read_at_each_start_and_env_wins_over_it(tmp_path: Path) -> None:
    path = tmp_path / "app.env"
    path.write_text("# comment\n\nA=1=2\nB= spaced \n", encoding="utf-8")
    instance = definition(env={"B": "3"}, env_file=path)
    assert environment(instance) == {"A": "1=2", "B": "3"}
    path.write_text("A=4\n", encoding="utf-8")
    assert environment(instance) == {"A": "4", "B": "3"}


def test_the_token_of_profiles_stands_below_what_the_definition_says_and_changes_no_hash() -> None:
    own = {"STOKER_PROFILE_TOKEN": "of-the-definition"}
    assert {"A": "1", "STOKER_PROFILE_TOKEN": "given"} == environment(definition(env={"A": "1"}), "given")
    assert own == environment(definition(env=own), "given")
    assert {} == environment(definition())


@pytest.mark.parametrize(
    "line", ["PASSWORD hunter2", "=hunter2", "PASS WORD=hunter2", "export A=hunter2", "A\0=hunter2"]
)
def test_a_bad_line_of_env_file_is_named_without_its_value(tmp_path: Path, line: str) -> None:
    path = tmp_path / "app.env"
    path.write_text(f"A=1\n{line}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"app\.env line 2 must be KEY=value") as caught:
        environment(definition(env_file=path))
    assert "hunter2" not in str(caught.value)


def test_a_missing_env_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"instance\.env_file: .*none\.env cannot be read: No such file"):
        environment(definition(env_file=tmp_path / "none.env"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": ""}, "instance.image must name an image, such as app:1, was ''"),
        ({"image": "-v"}, "instance.image must name an image, such as app:1, was '-v'"),
        ({"volumes": ["data"]}, "instance.volumes must be source:/target or source:/target:ro, was 'data'"),
        ({"volumes": ["../a:/b"]}, "instance.volumes must be source:/target or source:/target:ro, was '../a:/b'"),
        ({"volumes": ["/a:/b:rw,z"]}, "instance.volumes must be source:/target or source:/target:ro, was '/a:/b:rw,z'"),
        ({"env": {"A B": "x"}}, "instance.env must hold variable names of letters, digits and _, was 'A B'"),
        ({"env": {"A": "x\0y"}}, "instance.env.A must not contain NUL"),
        ({"command": ["a\0b"]}, "instance.command must not contain NUL"),
    ],
)
def test_what_no_engine_can_run_is_refused_in_one_line(change: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_container(definition(**change))
    assert str(caught.value) == message


def test_named_volumes_and_folders_are_taken() -> None:
    check_container(definition(volumes=["data:/var/data", "/etc/app:/etc/app:ro"]))


def test_a_local_command_must_name_its_port() -> None:
    with pytest.raises(SettingsError, match=r"instance\.command must be set when actuator\.kind is process, was empty"):
        check_command(definition())
    with pytest.raises(SettingsError, match=r"instance\.command must contain \{port\}, was \['serve'\]"):
        check_command(definition(command=["serve"]))
    check_command(definition(command=["serve", "--port={port}"]))
