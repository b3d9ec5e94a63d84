"""The hand that the settings name, ready to work, or one clear line that says why it cannot."""

from __future__ import annotations

import ipaddress
import math
import os
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fleet.clock import Clock
from fleet.errors import SettingsError
from scaler.actuators.definition import check_command, check_container, environment
from scaler.actuators.labels import Owner

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.settings import Settings
    from scaler.actuators.actuator import Actuator
    from scaler.actuators.ansible import Playbooks
    from scaler.actuators.play_vars import Value


def open_actuator(settings: Settings, now: Callable[[], float] | None = None) -> Actuator:
    """Check what the settings ask for, reach for it once, and return the hand.

    `now` dates the censuses and must be the clock of the control loop. Raises SettingsError, one line, where the
    instance definition is incomplete, no engine answers, or the inventory names no host.
    """
    clock = now or Clock().now
    match settings.actuator.kind:
        case "process":
            return _process(settings, clock)
        case "docker":
            return _docker(settings, clock)
        case "ansible":
            return _ansible(settings, clock)


def _process(settings: Settings, now: Callable[[], float]) -> Actuator:
    from scaler.actuators.process import ProcessActuator
    from scaler.actuators.process_file import ProcessFiles

    check_command(settings.instance)
    return ProcessActuator(
        ProcessFiles(settings.state_path, Owner(settings.fleet, settings.app)),
        settings.actuator.publish_address,
        settings.instance.log_size,
        now,
        set(environment(settings.instance, settings.token()).values()),
        token=settings.token(),
    )


def _docker(settings: Settings, now: Callable[[], float]) -> Actuator:
    from docker import APIClient
    from docker.utils import kwargs_from_env

    from scaler.actuators.docker import DockerActuator, explained
    from scaler.actuators.pull import Puller

    check_container(settings.instance)
    environment(settings.instance)
    engine = settings.actuator.docker_host or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    _check_published(engine, settings.actuator.publish_address)
    try:
        with explained():
            client = APIClient(
                **kwargs_from_env() | {"base_url": engine},
                version="auto",
                timeout=math.ceil(settings.actuator.call_timeout_s),
                max_pool_size=settings.life.parallel_starts + 2,
            )
    except (RuntimeError, ValueError) as error:
        raise SettingsError(
            f"actuator.docker_host {engine}: {error}; start an engine, or set actuator.kind to process"
        ) from error
    owner = Owner(settings.fleet, settings.app)
    return DockerActuator(client, Puller(client), owner, settings.actuator.publish_address, now, settings.token())


def _check_published(engine: str, address: str) -> None:
    parts = urlsplit(engine)
    remote = parts.scheme in {"tcp", "ssh", "http", "https"} and parts.hostname not in {"localhost", "127.0.0.1", "::1"}
    if remote and ipaddress.ip_address(address).is_loopback:
        raise SettingsError(
            f"actuator.publish_address must be an address of the engine's host {parts.hostname}, was {address}"
        )


def _ansible(settings: Settings, now: Callable[[], float]) -> Actuator:
    from scaler.actuators.ansible import AnsibleActuator
    from scaler.actuators.inventory import read_hosts
    from scaler.actuators.play import Stage
    from scaler.actuators.play_vars import check_extra

    check_container(settings.instance)
    environment(settings.instance)
    check_extra(settings.actuator.extra_vars)
    playbooks = _playbooks(settings.actuator.playbooks)
    inventory = (settings.actuator.inventory or Path()).expanduser().absolute()
    hosts = read_hosts(inventory, settings.actuator.group)
    stage = Stage(inventory, settings.state_path / "plays", settings.actuator.play_timeout_s)
    stage.sweep()
    given: dict[str, Value] = {
        **settings.actuator.extra_vars,
        "stoker_fleet": settings.fleet,
        "stoker_app": settings.app,
        "stoker_group": settings.actuator.group,
        "stoker_default_address": settings.actuator.publish_address,
    }
    if settings.actuator.docker_host:
        given["stoker_engine"] = settings.actuator.docker_host
    return AnsibleActuator(stage, playbooks, Owner(settings.fleet, settings.app), hosts, given, now, settings.token())


def _playbooks(own: Path | None) -> Playbooks:
    from scaler.actuators.ansible import Playbooks

    packaged = Path(str(resources.files("playbooks")))
    folder = own.expanduser().absolute() if own else packaged
    for name in ("scale_up.yml", "scale_down.yml"):
        if not (folder / name).is_file():
            raise SettingsError(f"actuator.playbooks: {folder} has no {name}")
    return Playbooks(
        folder / "scale_up.yml", folder / "scale_down.yml", packaged / "census.yml", packaged / "resolve.yml"
    )
