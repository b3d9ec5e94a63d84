from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = ["up", "down", "scaler", "status", "events", "scale", "pause", "resume", "replay", "demo"]


def stoker(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command as a person runs it, with nothing configured but what is given."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STOKER_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "stoker", *words],
        cwd=folder,
        env=clean | {"HOME": str(folder), "COLUMNS": "100", "NO_COLOR": "1"} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def complaint(result: subprocess.CompletedProcess[str]) -> str:
    """The one line on standard error, without the name in front; nothing else may have been said."""
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith("stoker: ")
    return line.removeprefix("stoker: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(tmp_path: Path, command: str) -> None:
    result = stoker(tmp_path, command, "--help")
    assert result.returncode == 0
    assert f"Example: stoker {command}" in result.stdout


def test_help_names_every_command(tmp_path: Path) -> None:
    text = stoker(tmp_path, "--help").stdout
    assert [] == [command for command in COMMANDS if f"│ {command} " not in text]


@pytest.mark.parametrize("command", ["status", "events", "pause", "scaler"])
def test_without_a_store_a_command_says_where_it_looked(tmp_path: Path, command: str) -> None:
    result = stoker(tmp_path, command, STOKER_INSTANCE__COMMAND='["x", "{port}"]', STOKER_ACTUATOR__KIND="process")
    assert result.returncode == 1
    assert "redis_url is not set, and no embedded server of fleet stoker runs in" in complaint(result)


def test_an_unreachable_redis_is_one_line_with_its_address(tmp_path: Path) -> None:
    result = stoker(tmp_path, "status", "--redis", "redis://127.0.0.1:1")
    assert result.returncode == 1
    assert "Redis at redis://127.0.0.1:1/0: unreachable" in complaint(result)


@pytest.mark.parametrize(
    ("command", "url"),
    [
        ("status", "redis://:secret@127.0.0.1"),
        ("scaler", "redis://me:secret@h"),
        ("events", "redis+sentinel://h/s?sentinel_password=secret"),
    ],
)
def test_a_password_on_the_command_line_is_refused_and_not_repeated(tmp_path: Path, command: str, url: str) -> None:
    result = stoker(tmp_path, command, "--redis", url)
    assert result.returncode == 2
    assert "STOKER_REDIS_URL" in complaint(result)
    assert "secret" not in result.stderr


@pytest.mark.parametrize(
    ("command", "text", "words"),
    [
        ("up", "flet = 'x'\n", "flet is not a setting"),
        ("up", "[policy]\nmax = 'many'\n", "policy.max: "),
        ("down", "[policy]\nmin = 5\nmax = 2\n", "min must be at most max (2), was 5"),
        ("status", "fleet = \n", "not TOML"),
    ],
)
def test_a_wrong_setting_stops_every_command_in_one_line(tmp_path: Path, command: str, text: str, words: str) -> None:
    (tmp_path / "my.toml").write_text(text)
    result = stoker(tmp_path, command, "--config", "my.toml")
    assert result.returncode == 2
    line = complaint(result)
    assert line.startswith("my.toml: ")
    assert words in line


def test_a_missing_settings_file_is_said(tmp_path: Path) -> None:
    result = stoker(tmp_path, "up", "--config", "nowhere.toml")
    assert (2, "nowhere.toml: cannot be read: No such file or directory") == (result.returncode, complaint(result))


def test_an_unknown_variable_is_said(tmp_path: Path) -> None:
    assert "STOKER_FLET is not a setting" in complaint(stoker(tmp_path, "status", STOKER_FLET="x"))


@pytest.mark.parametrize("count", ["11", "many"])
def test_a_count_outside_the_limits_is_refused_before_anything_is_asked(tmp_path: Path, count: str) -> None:
    result = stoker(tmp_path, "scale", count)
    assert result.returncode == 2
    assert complaint(result) == f"scale: must be auto or a number from min (1) to max (10), was '{count}'"


def test_a_file_that_is_no_trace_is_said_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text("nothing\n")
    result = stoker(tmp_path, "replay", "trace")
    assert result.returncode == 1
    assert complaint(result).startswith("trace:1: ")


def test_down_with_nothing_up_has_nothing_to_do(tmp_path: Path) -> None:
    result = stoker(tmp_path, "down")
    assert (0, "fleet stoker is down\n") == (result.returncode, result.stdout)


def test_an_unknown_actuator_of_the_demo_is_refused(tmp_path: Path) -> None:
    result = stoker(tmp_path, "demo", "--actuator", "podman")
    assert (1, "demo: --actuator must be process, docker or ansible, was 'podman'") == (
        result.returncode,
        complaint(result),
    )


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STOKER_")}
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "stoker", "--help"],
        cwd=tmp_path,
        env=clean,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout
    child.stdout.close()
    assert child.stderr
    assert child.stderr.read() == b""
    child.stderr.close()
    child.wait()


def test_a_redis_on_the_command_line_that_is_no_url_is_refused_in_one_line(tmp_path: Path) -> None:
    result = stoker(tmp_path, "status", "--redis", "redis://[x")
    assert (2, "stoker: --redis: must be a url such as redis://host:6379/0\n") == (result.returncode, result.stderr)


def test_a_state_folder_that_cannot_be_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = stoker(tmp_path, "up", STOKER_STATE_DIR=str(tmp_path / "file"))
    assert (1, f"stoker: {tmp_path / 'file' / 'stoker'}: Not a directory\n") == (result.returncode, result.stderr)


@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_data_plane_that_there_is_not_is_refused_by_the_name_of_its_option(tmp_path: Path, command: str) -> None:
    result = stoker(tmp_path, command, "--proxy", "nonsense")
    expected = "stoker: --proxy: must be mitmproxy or haproxy, was 'nonsense'\n"
    assert (2, expected) == (result.returncode, result.stderr)
