"""The token of profiles, in the hands of each kind: inside the instance, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from docker import APIClient
from pydantic import SecretStr

from scaler.actuators.actuator import Started
from scaler.actuators.process_file import ProcessFiles
from tests.scaler.actuators.hands import Hand, ansible_hand, docker_hand, folder_of_its_own, process_hand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine import Engine

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

TOKEN = "t0ken-t0ken-t0ken-t0ken"


@pytest.fixture(params=["process", "docker", "ansible"])
def hand(request: pytest.FixtureRequest) -> Iterator[Hand]:
    with folder_of_its_own() as folder:
        if request.param == "process":
            opened = process_hand(folder)
        else:
            engine: Engine = request.getfixturevalue("engine")
            opened = docker_hand(engine, folder) if request.param == "docker" else ansible_hand(engine, folder)
        opened.settings = opened.settings.model_copy(update={"profile_token": SecretStr(TOKEN)})
        try:
            yield opened
        finally:
            opened.close()


def inside(hand: Hand, request: pytest.FixtureRequest) -> tuple[str, str]:
    """The environment and the words of the first instance, as the system knows them."""
    name = hand.name(1)
    if hand.settings.actuator.kind == "process":
        files = hand.opened[0].files  # type: ignore[attr-defined]  # the process hand's
        assert isinstance(files, ProcessFiles)
        file = files.read(name)
        assert file is not None
        folder = Path(f"/proc/{file.pid}")
        return (folder / "environ").read_text("utf-8"), (folder / "cmdline").read_text("utf-8")
    engine: Engine = request.getfixturevalue("engine")
    client = APIClient(base_url=engine.address)
    try:
        found = client.inspect_container(name)
    finally:
        client.close()
    return repr(found["Config"]["Env"]), repr([found["Config"]["Cmd"], found["Config"]["Labels"], found["Args"]])


def test_an_instance_has_the_token_in_its_environment_alone(
    hand: Hand, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    actuator = hand.open()
    order = hand.order(1, hand.good)
    [answer] = actuator.start([order])
    try:
        assert isinstance(answer, Started)
        environment, words = inside(hand, request)
        assert f"STOKER_PROFILE_TOKEN={TOKEN}" in environment
        assert TOKEN not in words
        assert TOKEN not in repr((order, answer, actuator, actuator.running()))
    finally:
        actuator.stop(order.name, order.host, 0.0)
    assert TOKEN not in "".join(capfd.readouterr())
    written = [path for path in hand.settings.state_path.rglob("*") if path.is_file()]
    assert not [path for path in written if TOKEN.encode() in path.read_bytes()]
