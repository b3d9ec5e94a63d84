from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from fleet.settings import InstanceSettings
from scaler.actuators.definition import definition_hash
from scaler.definitions import Definitions

if TYPE_CHECKING:
    from pathlib import Path

SHOP = InstanceSettings(image="shop:1", env={"PASSWORD": "hunter2"}, memory="64m")


def kept(path: Path | None = None, definition: InstanceSettings = SHOP) -> Definitions:
    return Definitions(definition, definition_hash(definition), path)


def test_another_image_is_another_spec_and_all_else_stays() -> None:
    definitions = kept()
    spec, definition = definitions.with_image("shop:2")
    assert SHOP.model_copy(update={"image": "shop:2"}) == definition == definitions.find(spec, "shop:2")
    assert definition_hash(definition) == spec != definitions.spec


def test_without_an_image_it_is_what_is_configured() -> None:
    assert (definition_hash(SHOP), SHOP) == kept().with_image("")


def test_what_was_configured_before_is_known_after_a_restart_but_its_env_is_today_s(tmp_path: Path) -> None:
    path = tmp_path / "shop.definitions"
    before = kept(path).spec
    now = kept(path, SHOP.model_copy(update={"memory": "128m", "env": {"PASSWORD": "other"}}))
    found = now.find(before, "")
    assert ("64m", {"PASSWORD": "other"}, "shop:1") == (found.memory, found.env, found.image)


def test_no_env_value_is_written_down(tmp_path: Path) -> None:
    path = tmp_path / "shop.definitions"
    kept(path).with_image("shop:2")
    assert "hunter2" not in path.read_text("utf-8")
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_a_spec_of_another_scaler_is_the_configured_definition_with_its_image() -> None:
    assert SHOP.model_copy(update={"image": "shop:9"}) == kept().find("elsewhere", "shop:9")


def test_a_spec_that_is_known_by_nothing_is_no_definition() -> None:
    with pytest.raises(ValueError, match="what spec elsewhere stands for is not known here"):
        kept().find("elsewhere", "")


@pytest.mark.parametrize("content", ["", "{", "3", "[1]"])
def test_a_file_that_no_scaler_wrote_is_passed_over(tmp_path: Path, content: str) -> None:
    path = tmp_path / "shop.definitions"
    path.write_text(content, "utf-8")
    assert SHOP == kept(path).find(definition_hash(SHOP), "")


def test_a_file_that_was_changed_names_the_spec(tmp_path: Path) -> None:
    path = tmp_path / "shop.definitions"
    path.write_text('{"older": {"port": "none"}}', "utf-8")
    with pytest.raises(ValueError, match="spec older is not an instance definition"):
        kept(path).find("older", "shop:1")


def test_a_file_that_cannot_be_written_is_told_once_ends_nothing_and_is_written_when_it_can_be(tmp_path: Path) -> None:
    path = tmp_path / "shop.definitions"
    path.mkdir()
    with capture_logs() as told:
        definitions = kept(path)
        spec, definition = definitions.with_image("shop:2")
        assert definition == definitions.find(spec, "shop:2")
    not_written = [line for line in told if line["event"] == "definitions not written, tried again at each start"]
    assert [str(path)] == [line["path"] for line in not_written]
    assert [path] == list(tmp_path.iterdir())
    path.rmdir()
    definitions.find(spec, "shop:2")
    assert definition.image == kept(path).find(spec, "").image
