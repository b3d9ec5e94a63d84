"""The hosts of an Ansible inventory on which instances run, each with an address that proxies can reach."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet.backend import HOST_NAME
from fleet.errors import SettingsError
from scaler.actuators.excerpt import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

READ_TIMEOUT_S = 60


def program(name: str) -> str:
    """A program of Ansible, the one of this Python's environment first. Raises SettingsError where there is none."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise SettingsError(f"actuator.kind is ansible, but {name} is not installed")
    return found


def read_hosts(inventory: Path, group: str) -> frozenset[str]:
    """The hosts of the group and of its child groups.

    Raises SettingsError, one line, where the file cannot be read, the group names no host, or the `stoker_address` of
    one is missing (only a local one may do without) or is no single address.
    """
    if not inventory.exists():
        raise SettingsError(f"actuator.inventory: {inventory} does not exist")
    content = _parsed(inventory)
    names = _members(content, group, frozenset())
    if not names:
        raise SettingsError(f"actuator.inventory: {inventory} names no host in the group {group} (actuator.group)")
    variables = content.get("_meta", {}).get("hostvars", {})
    for name in sorted(names):
        _check(inventory, name, variables.get(name, {}))
    return frozenset(names)


def _parsed(inventory: Path) -> dict[str, Any]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("STOKER_")}
    try:
        answer = subprocess.run(
            [program("ansible-inventory"), "-i", str(inventory), "--list"],
            cwd=inventory.parent,
            env=environment | {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true", "ANSIBLE_NOCOLOR": "true"},
            capture_output=True,
            text=True,
            timeout=READ_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SettingsError(f"actuator.inventory: {inventory} was not read within {READ_TIMEOUT_S} s") from error
    if answer.returncode != 0:
        raise SettingsError(f"actuator.inventory: {inventory} cannot be read: {one_line(answer.stderr)}")
    content: dict[str, Any] = json.loads(answer.stdout)
    return content


def _members(content: Mapping[str, Any], group: str, above: frozenset[str]) -> set[str]:
    entry = content.get(group, {})
    found = set(entry.get("hosts", ()))
    for child in entry.get("children", ()):
        if child not in above:
            found |= _members(content, child, above | {group})
    return found


def _check(inventory: Path, name: str, variables: Mapping[str, Any]) -> None:
    where = f"actuator.inventory: {inventory}: host {name}"
    if not HOST_NAME.fullmatch(name):
        raise SettingsError(f"actuator.inventory: {inventory}: {name!r} must be letters, digits, hyphens, dots and _")
    given = variables.get("stoker_address")
    if given is None:
        if variables.get("ansible_connection") != "local":
            raise SettingsError(f"{where} needs stoker_address, the address on which proxies reach its instances")
        return
    try:
        address = ipaddress.ip_address(given)
    except ValueError as error:
        raise SettingsError(f"{where}: stoker_address must be an IP address, was {given!r}") from error
    if address.is_unspecified:
        raise SettingsError(f"{where}: stoker_address must be one address of the host, was {given}")
