"""The hand that the settings name, ready to work, or one clear line that says why it cannot."""

from __future__ import annotations

import ipaddress
import math
import os
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
            raise SettingsError("actuator.kind ansible")


def _process(settings: Settings, now: Callable[[], float]) -> Actuator:
    from scaler.actuators.process import ProcessActuator
    from scaler.actuators.process_file import ProcessFiles

    check_command(settings.instance)
    return ProcessActuator(
        ProcessFiles(settings.state_path, Owner(settings.fleet, settings.app)),
        settings.actuator.publish_address,
        settings.instance.log_size,
        now,
        set(environment(settings.instance).values()),
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
    return DockerActuator(client, Puller(client), owner, settings.actuator.publish_address, now)


def _check_published(engine: str, address: str) -> None:
    parts = urlsplit(engine)
    remote = parts.scheme in {"tcp", "ssh", "http", "https"} and parts.hostname not in {"localhost", "127.0.0.1", "::1"}
    if remote and ipaddress.ip_address(address).is_loopback:
        raise SettingsError(
            f"actuator.publish_address must be an address of the engine's host {parts.hostname}, was {address}"
        )
