"""Whole deploys by the real command: real containers behind both planes, under load, and by Ansible's plays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.scaler.actuators.hands import inventory
from tests.stoker.deploying import deploying, images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine import Engine

pytestmark = [pytest.mark.live, pytest.mark.long, pytest.mark.timeout(240)]

SERVE, EXITS = '["/bin/serve"]', '["/bin/exits"]'
LAST_WORDS = "exit code 3; last log lines: cannot start: the password is [hidden]"


@pytest.mark.parametrize("plane", ["mitmproxy", "haproxy"])
def test_a_good_image_a_broken_one_and_a_rollback_lose_no_request(engine: Engine, plane: str) -> None:
    docker = f'kind = "docker"\ndocker_host = "{engine.address}"'
    with (
        images(engine, one=SERVE, two=SERVE, broken=EXITS) as made,
        deploying(engine, made["one"], plane, 2, docker) as fleet,
    ):
        first = fleet.serving()

        def deploys() -> None:
            good = fleet.deploy(made["two"])
            assert (0, ["asked", "begun", "proven", "done"]) == (good.code, good.words)
            second = fleet.serving()
            assert len(second) == 2
            assert not set(second.values()) & set(first.values())
            broken = fleet.deploy(made["broken"])
            assert (1, ["asked", "begun", "failed"]) == (broken.code, broken.words)
            assert LAST_WORDS in broken.why
            assert second == fleet.serving()
            back = fleet.deploy("--rollback")
            assert (0, ["asked", "begun", "proven", "done"]) == (back.code, back.words)
            assert set(first.values()) == set(fleet.serving().values())

        fleet.under_load(deploys, rps=50)
        assert {} == fleet.load.faults
        assert fleet.fewest == 2


def test_by_plays_a_good_image_and_a_broken_one_are_deployed_as_by_the_engine(engine: Engine, tmp_path: Path) -> None:
    ansible = f'kind = "ansible"\ninventory = "{inventory(engine, tmp_path)}"'
    with (
        images(engine, one=SERVE, two=SERVE, broken=EXITS) as made,
        deploying(engine, made["one"], "mitmproxy", 1, ansible) as fleet,
    ):
        first = fleet.serving()

        def deploys() -> None:
            good = fleet.deploy(made["two"])
            assert (0, ["asked", "begun", "proven", "done"]) == (good.code, good.words)
            second = fleet.serving()
            assert not set(second.values()) & set(first.values())
            broken = fleet.deploy(made["broken"])
            assert (1, ["asked", "begun", "failed"]) == (broken.code, broken.words)
            assert LAST_WORDS in broken.why
            assert second == fleet.serving()

        # One instance, whose server lets nine connections wait: it must keep up on a machine that is busy with plays.
        fleet.under_load(deploys, rps=10)
        assert {} == fleet.load.faults
        assert fleet.fewest == 1


def test_a_tag_that_moves_changes_no_instance_until_it_is_deployed(engine: Engine) -> None:
    docker = f'kind = "docker"\ndocker_host = "{engine.address}"'
    with (
        images(engine, moving=SERVE, two=SERVE) as made,
        deploying(engine, made["moving"], "mitmproxy", 1, docker) as fleet,
    ):
        first, second = (engine.client.images.get(tag) for tag in (made["moving"], made["two"]))
        second.tag(made["moving"])
        fleet.replace(engine)
        assert [first.id] == fleet.images(engine)
        assert ["asked", "begun", "proven", "done"] == fleet.deploy().words
        assert [second.id] == fleet.images(engine)
        assert ["asked", "done"] == fleet.deploy().words


def test_by_plays_a_deploy_of_what_the_settings_name_replaces_nothing(engine: Engine, tmp_path: Path) -> None:
    ansible = f'kind = "ansible"\ninventory = "{inventory(engine, tmp_path)}"'
    with images(engine, one=SERVE) as made, deploying(engine, made["one"], "mitmproxy", 1, ansible) as fleet:
        first = fleet.serving()
        assert ["asked", "done"] == fleet.deploy().words
        assert first == fleet.serving()
