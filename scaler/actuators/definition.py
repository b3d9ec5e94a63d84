"""What one instance is, ready for a hand: its hash, its environment, and the rules that settings alone cannot check."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from fleet.errors import SettingsError
from fleet.release import IMAGE_TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fleet.settings import InstanceSettings

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
TOKEN_VARIABLE = "STOKER_PROFILE_TOKEN"  # noqa: S105  # a name, not a token
VOLUME = re.compile(r"(/[^:,\s]*|[A-Za-z0-9][A-Za-z0-9_.-]{0,127}):/[^:,\s]*(:(ro|rw))?")


def definition_hash(definition: InstanceSettings) -> str:
    """12 hex digits that name this definition; env values enter only as digests.

    Settings left at their default do not enter, so that a release which adds a setting redeploys nobody.
    """
    content = definition.model_dump(mode="json", exclude_defaults=True)
    content["env"] = {key: _digest(value) for key, value in definition.env.items()}
    return _digest(json.dumps(content, sort_keys=True, separators=(",", ":")))[:12]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check_container(definition: InstanceSettings) -> None:
    """Raise SettingsError, in one line, unless an engine can be asked for this definition."""
    if not IMAGE_TEXT.fullmatch(definition.image):
        raise SettingsError(f"instance.image must name an image, such as app:1, was {definition.image!r}")
    for volume in definition.volumes:
        if not VOLUME.fullmatch(volume):
            raise SettingsError(f"instance.volumes must be source:/target or source:/target:ro, was {volume!r}")
    _check_common(definition)


def check_command(definition: InstanceSettings) -> None:
    """Raise SettingsError, in one line, unless a local process can be made of this definition."""
    if not definition.command:
        raise SettingsError("instance.command must be set when actuator.kind is process, was empty")
    if not any("{port}" in word for word in definition.command):
        raise SettingsError(f"instance.command must contain {{port}}, was {list(definition.command)!r}")
    _check_common(definition)


def _check_common(definition: InstanceSettings) -> None:
    if any("\0" in word for word in definition.command):
        raise SettingsError("instance.command must not contain NUL")
    _check_environment("instance.env", definition.env)


def _check_environment(where: str, environment: Mapping[str, str]) -> None:
    for key, value in environment.items():
        if not VARIABLE.fullmatch(key):
            raise SettingsError(f"{where} must hold variable names of letters, digits and _, was {key!r}")
        if "\0" in value:
            raise SettingsError(f"{where}.{key} must not contain NUL")


def environment(definition: InstanceSettings, token: str | None = None) -> dict[str, str]:
    """The variables of env_file, read now, under those of env; below both the token of the app's profiles.

    That token is no part of the definition: another one changes no hash, and redeploys nobody.

    Raises SettingsError with file and line, never the value, for a file that is not KEY=value lines.
    """
    found = _read(definition.env_file) if definition.env_file else {}
    given = {TOKEN_VARIABLE: token} if token else {}
    return given | found | definition.env


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.expanduser().read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SettingsError(f"instance.env_file: {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"instance.env_file: {path} must be UTF-8 text") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals or not VARIABLE.fullmatch(key):
            raise SettingsError(f"instance.env_file: {path} line {number} must be KEY=value")
        found[key] = value
    _check_environment(f"instance.env_file: {path}", found)
    return found
