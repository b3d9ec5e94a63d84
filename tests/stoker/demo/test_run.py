from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from stoker.demo.run import serving_desk
from stoker.demo.stage import Stage
from stoker.errors import CommandError
from tests.valkey import folder

if TYPE_CHECKING:
    from pathlib import Path

    from fleet.settings import Settings
    from tests.engine import Engine

DEMO = [sys.executable, "-P", "-m", "stoker", "demo", "--seconds", "40"]


def demo(temporary: Path, *words: str, **variables: str) -> str:
    """Run it to its good end; what it printed."""
    result = subprocess.run(
        [*DEMO, *words],
        env=os.environ | {"TMPDIR": str(temporary), "COLUMNS": "100"} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.live
async def test_where_none_serves_the_last_failure_is_told(
    store_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker.demo.run.SERVES_WITHIN_S", 0.5)
    log = tmp_path / "log"
    log.write_text("shop1  warming -> failed  (exit code 3)\nshop1  failed -> gone  (stopped and removed)\n")
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as up:  # noqa: ASYNC220  # does not wait
        with pytest.raises(CommandError, match=r"no instance serves after 0\.5 s; the last word: shop1 .*exit code 3"):
            await serving_desk(Stage(store_settings, up, log))
        up.communicate()


@pytest.mark.live
@pytest.mark.timeout(180)
def test_the_fleet_follows_the_load_no_request_fails_and_no_file_is_left() -> None:
    with folder() as temporary:
        said = demo(temporary)
        assert "The fleet followed the load." in said
        assert " sent, 0 failed" in said
        assert [] == list(temporary.iterdir())


@pytest.mark.live
@pytest.mark.long
@pytest.mark.timeout(180)
def test_with_containers_no_container_and_no_image_is_left(engine: Engine) -> None:
    with folder() as temporary:
        said = demo(temporary, "--actuator", "docker", DOCKER_HOST=engine.address)
    assert " sent, 0 failed" in said
    assert [] == [tag for image in engine.client.images.list() for tag in image.tags if tag.startswith("stoker-demo")]
    containers = engine.client.containers.list(all=True, filters={"label": "stoker.fleet"})
    assert [] == [one.name for one in containers if one.labels["stoker.fleet"].startswith("demo-")]
