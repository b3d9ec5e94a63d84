from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from fleet.errors import SettingsError
from scaler.actuators.inventory import read_hosts

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = {"ansible_connection": "local"}


def written(folder: Path, content: object) -> Path:
    path = folder / "hosts.yml"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_the_hosts_of_a_group_and_of_its_children(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {
            "stoker": {
                "hosts": {"alpha": LOCAL},
                "children": {"racks": {"hosts": {"beta": {"stoker_address": "10.0.0.2"}}}},
            },
            "others": {"hosts": {"gamma": {}}},
        },
    )
    assert read_hosts(path, "stoker") == {"alpha", "beta"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"stoker": {"hosts": {}}}, "{path} names no host in the group stoker (actuator.group)"),
        ({"other": {"hosts": {"alpha": LOCAL}}}, "{path} names no host in the group stoker (actuator.group)"),
        (
            {"stoker": {"hosts": {"alpha": {}}}},
            "{path}: host alpha needs stoker_address, the address on which proxies reach its instances",
        ),
        (
            {"stoker": {"hosts": {"alpha": {"stoker_address": "0.0.0.0"}}}},
            "{path}: host alpha: stoker_address must be one address of the host, was 0.0.0.0",
        ),
        (
            {"stoker": {"hosts": {"alpha": {"stoker_address": "alpha.example.org"}}}},
            "{path}: host alpha: stoker_address must be an IP address, was 'alpha.example.org'",
        ),
        (
            {"stoker": {"hosts": {"al$pha": LOCAL}}},
            "{path}: 'al$pha' must be letters, digits, hyphens, dots and _",
        ),
    ],
)
def test_an_inventory_that_cannot_serve_is_refused_in_one_line(tmp_path: Path, content: object, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(SettingsError) as caught:
        read_hosts(path, "stoker")
    assert str(caught.value) == "actuator.inventory: " + message.format(path=path)


def test_a_broken_or_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^actuator\.inventory: .*none\.yml does not exist$"):
        read_hosts(tmp_path / "none.yml", "stoker")
    with pytest.raises(SettingsError, match=r"^actuator\.inventory: .*hosts\.yml cannot be read: [^\n]+$"):
        read_hosts(written(tmp_path, "stoker: [: {"), "stoker")
