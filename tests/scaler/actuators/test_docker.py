"""The docker hand where only an engine can go wrong, and what it makes of a definition."""

from __future__ import annotations

import gc
import socket
import threading
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from fleet.errors import SettingsError
from scaler.actuators.actuator import Failed, Removed, Started
from scaler.actuators.docker import DockerActuator
from scaler.messages import Census, Outcome
from tests.scaler.actuators.hands import SECRET, Hand, await_outcome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engine import Engine

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]


def hand_of(hand: Hand) -> DockerActuator:
    actuator = hand.open()
    assert isinstance(actuator, DockerActuator)
    return actuator


@contextmanager
def silent(path: Path | None = None) -> Iterator[int]:
    """A server that takes connections and says nothing, on a unix socket or a port of the loopback."""
    listener = socket.socket(socket.AF_UNIX) if path else socket.socket()
    listener.bind(str(path) if path else ("127.0.0.1", 0))
    listener.listen()
    held: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                held.append(listener.accept()[0])

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield 0 if path else listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for one in [listener, *held]:
            one.close()


def test_a_definition_reaches_the_engine_whole(engine: Engine, containers: Hand, tmp_path: Path) -> None:
    (tmp_path / "app.env").write_text("FROM_FILE=1\nPASSWORD=lost\n", encoding="ascii")
    network = engine.client.networks.create(containers.settings.fleet)
    definition = containers.good.model_copy(
        update={
            "command": ("/bin/serve", "4000"),
            "port": 4000,
            "env_file": tmp_path / "app.env",
            "network": containers.settings.fleet,
            "volumes": (f"{tmp_path}:/data:ro",),
            "memory": "64m",
            "cpus": 0.5,
            "user": "65534",
        }
    )
    started = containers.open().start([containers.order(1, definition)])[0]
    assert isinstance(started, Started), started
    await_outcome(started.url, Outcome.READY)
    found = engine.client.containers.get(started.name)
    inside, outside = found.attrs["Config"], found.attrs["HostConfig"]
    assert inside["Env"][:2] == ["FROM_FILE=1", f"PASSWORD={SECRET}"]
    assert inside["Labels"] == {
        "stoker.fleet": containers.settings.fleet,
        "stoker.app": containers.settings.app,
        "stoker.name": started.name,
        "stoker.spec": containers.order(1, definition).spec,
        "stoker.port": "4000",
    }
    assert inside["User"] == "65534"
    assert outside["Binds"] == [f"{tmp_path}:/data:ro"]
    assert outside["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "64k", "max-file": "2"}}
    assert (outside["Memory"], outside["NanoCpus"]) == (64 * 2**20, 500_000_000)
    assert outside["NetworkMode"] == containers.settings.fleet
    assert outside["PortBindings"]["4000/tcp"][0]["HostIp"] == "127.0.0.1"
    assert outside["RestartPolicy"]["Name"] == "no"
    engine.remove_fleet(containers.settings.fleet)
    network.remove()


def test_a_start_that_was_cut_short_is_finished(containers: Hand) -> None:
    actuator = hand_of(containers)
    order = containers.order(1, containers.good)
    labels = actuator.owner.labels(order.name, order.spec, 3000)
    actuator.client.create_container(
        containers.good.image,
        name=order.name,
        labels=labels,
        ports=[3000],
        host_config=actuator.client.create_host_config(port_bindings={3000: ("127.0.0.1", None)}),
    )
    assert [found.running for found in actuator.running().found] == [False]
    started = actuator.start([order])[0]
    assert isinstance(started, Started)
    await_outcome(started.url, Outcome.READY)


def test_the_last_lines_of_one_that_exited_come_without_env_values(containers: Hand) -> None:
    actuator = containers.open()
    actuator.start([containers.order(1, containers.exits)])
    hand_of(containers).client.wait(containers.name(1))
    (found,) = actuator.running().found
    assert (found.running, found.exit_code, found.log) == (False, 3, ("cannot start: the password is [hidden]",))
    again = actuator.start([containers.order(1, containers.exits)])[0]
    assert again == Failed(containers.name(1), "it has exited", 3, found.log)
    assert Removed(found.log, 3) == actuator.stop(containers.name(1), "local", 0.0)


def test_a_crash_of_a_running_one_is_seen(containers: Hand) -> None:
    actuator = containers.open()
    started = actuator.start([containers.order(1, containers.good)])[0]
    assert isinstance(started, Started)
    await_outcome(started.url, Outcome.READY)
    hand_of(containers).client.kill(started.name)
    await_outcome(started.url, Outcome.REFUSED)
    assert [found.running for found in actuator.running().found] == [False]


@pytest.mark.parametrize("pull", ["missing", "always"])
def test_a_failed_pull_is_said_in_one_line(containers: Hand, pull: str) -> None:
    definition = containers.unknown.model_copy(update={"pull": pull})
    failed = containers.open().start([containers.order(1, definition)])[0]
    assert isinstance(failed, Failed)
    assert "127.0.0.1:1" in failed.reason
    assert "connection refused" in failed.reason
    assert "\n" not in failed.reason


def test_a_pull_has_a_deadline_of_its_own_and_is_shared(containers: Hand) -> None:
    with silent() as port:
        image = f"127.0.0.1:{port}/slow:1"
        definition = containers.good.model_copy(update={"image": image, "pull_timeout_s": 0.2})
        actuator = hand_of(containers)
        failed = actuator.start([containers.order(1, definition)])[0]
        assert failed == Failed(containers.name(1), f"image {image} was not pulled within 0.2 s")
        actuator.start([containers.order(2, definition)])
        pulls = [thread for thread in threading.enumerate() if thread.name == f"pull {image}"]
        assert len(pulls) == 1
    for thread in pulls:
        thread.join()


def test_an_image_that_is_here_is_not_pulled_with_missing(containers: Hand) -> None:
    assert containers.good.pull == "missing"
    assert isinstance(containers.open().start([containers.order(1, containers.good)])[0], Started)


def test_an_engine_setting_that_it_refuses_is_said(containers: Hand) -> None:
    definition = containers.good.model_copy(update={"network": "there-is-no-such-network"})
    failed = containers.open().start([containers.order(1, definition)])[0]
    assert isinstance(failed, Failed)
    assert failed.reason == "the engine refused: network there-is-no-such-network not found"


@contextmanager
def sdk_leaks() -> Iterator[None]:
    """The SDK leaves a socket open that it could not connect."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def refusal(hand: Hand, **changes: object) -> str:
    hand.actuator_settings(**changes)
    with sdk_leaks(), pytest.raises(SettingsError) as caught:
        hand.open()
    return str(caught.value)


def test_no_engine_stops_the_start_in_one_line(containers: Hand, tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/none.sock"
    assert refusal(containers, docker_host=address) == (
        f"actuator.docker_host {address}: the engine cannot be reached: No such file or directory; "
        "start an engine, or set actuator.kind to process"
    )


def test_a_hung_engine_stops_the_start_in_one_line(containers: Hand, tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/s"
    with silent(tmp_path / "s"):
        assert refusal(containers, docker_host=address, call_timeout_s=1) == (
            f"actuator.docker_host {address}: the engine did not answer in time (actuator.call_timeout_s); "
            "start an engine, or set actuator.kind to process"
        )


def test_a_published_loopback_beside_a_remote_engine_is_refused(containers: Hand) -> None:
    assert refusal(containers, docker_host="tcp://10.9.8.7:2375") == (
        "actuator.publish_address must be an address of the engine's host 10.9.8.7, was 127.0.0.1"
    )


def test_a_vanished_engine_fails_every_call_in_one_line(engine: Engine, containers: Hand, tmp_path: Path) -> None:
    link = tmp_path / "engine.sock"
    link.symlink_to(engine.address.removeprefix("unix://"))
    containers.actuator_settings(docker_host=f"unix://{link}")
    actuator = hand_of(containers)
    actuator.client.close()
    link.unlink()
    gone = "the engine cannot be reached: No such file or directory"
    with sdk_leaks():
        assert actuator.start([containers.order(1, containers.good)]) == [Failed(containers.name(1), gone)]
        assert actuator.running() == Census(7.0, hosts=frozenset({"local"}), faults=(gone,))
        with pytest.raises(RuntimeError, match=gone):
            actuator.stop(containers.name(1), "local", 1.0)


def test_a_bad_env_file_fails_that_start_alone(containers: Hand, tmp_path: Path) -> None:
    definition = containers.good.model_copy(update={"env_file": tmp_path / "none.env"})
    orders = [containers.order(1, definition), containers.order(2, containers.good)]
    failed, started = containers.open().start(orders)
    assert isinstance(failed, Failed)
    assert failed.reason.endswith("none.env cannot be read: No such file or directory")
    assert isinstance(started, Started)


def test_an_image_without_a_registry_is_pinned_by_its_id_and_runs_by_that(engine: Engine, containers: Hand) -> None:
    actuator = containers.open()
    pinned = actuator.resolve(containers.good)
    assert engine.client.images.get(engine.image).id == pinned
    assert pinned == actuator.resolve(containers.good.model_copy(update={"image": pinned, "pull": "always"}))
    definition = containers.good.model_copy(update={"image": pinned, "pull": "always"})
    started = actuator.start([containers.order(1, definition)])[0]
    assert isinstance(started, Started)


@pytest.mark.parametrize("pull", ["never", "missing"])
def test_an_image_that_is_nowhere_is_not_resolved_and_the_reason_names_it(containers: Hand, pull: str) -> None:
    missing = containers.good.model_copy(update={"image": "127.0.0.1:1/nowhere:1", "pull": pull})
    with pytest.raises(RuntimeError, match=r"127\.0\.0\.1:1"):
        containers.open().resolve(missing)
