"""Instances as containers on the hosts of an Ansible inventory: one play for all orders of a moment."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaler.actuators.actuator import Failed, Removed, Started, StartOrder
from scaler.actuators.container import listed_url, pinned_image
from scaler.actuators.definition import check_container, environment
from scaler.actuators.excerpt import last_lines, one_line
from scaler.actuators.gather import Gather
from scaler.actuators.labels import PORT, SPEC, Owner
from scaler.actuators.play import Outcome, Stage
from scaler.actuators.play_vars import Value
from scaler.actuators.pull import refusal
from scaler.messages import Census, Found

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleet.settings import InstanceSettings

SPEC_TEXT = re.compile(r"[0-9a-f]{12}")
URL = re.compile(r"http://[0-9a-f.:\[\]]+:[0-9]{1,5}")
# How community.docker tells of a refused pull.
ENGINE_SAID = re.compile(r'Error pulling image .*? Error for \S+: [^("]*\("(.*)"\)$')
EXITED = re.compile(r"Exited \((\d+)\)")
GATHER_S = 0.05


@dataclass(frozen=True, slots=True)
class Playbooks:
    """Those that are played."""

    scale_up: Path
    scale_down: Path
    census: Path
    resolve: Path


@dataclass(frozen=True, slots=True)
class _StopOrder:
    name: str
    host: str
    grace_s: float


@dataclass(slots=True)
class AnsibleActuator:
    """The hand that plays. `hosts` are those of the inventory's group, `given` is what every play gets."""

    stage: Stage
    playbooks: Playbooks
    owner: Owner
    hosts: frozenset[str]
    given: Mapping[str, Value]
    now: Callable[[], float]
    token: str | None = field(default=None, repr=False)
    _stops: Gather[_StopOrder, Removed | str] = field(init=False)

    def __post_init__(self) -> None:
        self._stops = Gather(self._stop_all, GATHER_S)

    @property
    def batches(self) -> bool:
        """One play carries all orders of a step."""
        return True

    def start(self, orders: Sequence[StartOrder]) -> list[Started | Failed]:
        """Play scale_up.yml for all orders that pass the checks; each has its own result."""
        variables: dict[str, dict[str, str]] = {}
        refused: dict[str, Failed] = {}
        for order in orders:
            try:
                variables[order.name] = self._checked(order)
            except ValueError as error:
                refused[order.name] = Failed(order.name, one_line(str(error)))
        played = [order for order in orders if order.name in variables]
        results = self._play_up(played, variables) if played else {}
        return [refused.get(order.name) or results[order.name] for order in orders]

    def _checked(self, order: StartOrder) -> dict[str, str]:
        self.owner.check(order.name)
        if order.host not in self.hosts:
            raise ValueError(f"host {order.host} is not in the inventory")
        if not SPEC_TEXT.fullmatch(order.spec):
            raise ValueError(f"a spec must be 12 hex digits, was {order.spec!r}")
        check_container(order.definition)
        return environment(order.definition, self.token)

    def _play_up(
        self, orders: Sequence[StartOrder], variables: Mapping[str, dict[str, str]]
    ) -> dict[str, Started | Failed]:
        instances: list[Value] = [{"name": one.name, "host": one.host, "spec": one.spec} for one in orders]
        definitions: dict[str, Value] = {one.spec: _definition(one, variables[one.name]) for one in orders}
        outcome = self.stage.run(
            self.playbooks.scale_up,
            {**self.given, "stoker_instances": instances, "stoker_definitions": definitions},
            pull_s=max(order.definition.pull_timeout_s for order in orders),
        )
        return {order.name: _started(order, outcome, variables[order.name]) for order in orders}

    def resolve(self, definition: InstanceSettings) -> str:
        """Play resolve.yml: what the image stands for on every host that answers, which must be one thing."""
        check_container(definition)
        given: dict[str, Value] = {
            **self.given,
            "stoker_image": definition.image,
            "stoker_pull": definition.pull,
            "stoker_pull_timeout_s": definition.pull_timeout_s,
        }
        outcome = self.stage.run(self.playbooks.resolve, given, pull_s=definition.pull_timeout_s)
        resolved = {
            host: one for host, one in outcome.statistics.get("stoker_resolved", {}).items() if host in self.hosts
        }
        for host in sorted(self.hosts - resolved.keys()):
            if host in outcome.failures or not resolved:
                raise RuntimeError(unresolved(definition.image, host, outcome.reason(host)))
        return _one_image(definition.image, resolved)

    def stop(self, name: str, host: str, grace_s: float) -> Removed:
        """Have scale_down.yml played, together with the other stops of the same moment."""
        self.owner.check(name)
        if host not in self.hosts:
            raise RuntimeError(f"{name}: host {host} is not in the inventory, so it may still run there")
        ended = self._stops(_StopOrder(name, host, grace_s))
        if isinstance(ended, str):
            raise RuntimeError(f"{name}: {ended}")  # noqa: TRY004  # why it may still run, not a wrong type
        return ended

    def _stop_all(self, orders: list[_StopOrder]) -> list[Removed | str]:
        grace_s = max(order.grace_s for order in orders)
        hosts = {order.name: order.host for order in orders}
        instances: list[Value] = [{"name": name, "host": host} for name, host in hosts.items()]
        given = {**self.given, "stoker_instances": instances, "stoker_grace_s": grace_s}
        outcome = self.stage.run(self.playbooks.scale_down, given, extra_s=grace_s)
        return [_stopped(order, outcome) for order in orders]

    def running(self) -> Census:
        """Play census.yml; a host without an answer is named, with the reason, among the faults."""
        asked_at = self.now()
        outcome = self.stage.run(self.playbooks.census, self.given)
        answers = {host: one for host, one in outcome.statistics.get("stoker_census", {}).items() if host in self.hosts}
        found = [self._found(host, entry) for host, entries in answers.items() for entry in entries]
        silent = sorted(self.hosts - answers.keys())
        return Census(
            asked_at,
            tuple(one for one in found if one),
            frozenset(answers),
            self.hosts,
            tuple(f"{host}: {outcome.reason(host)}" for host in silent),
        )

    def _found(self, host: str, entry: Mapping[str, Any]) -> Found | None:
        labels = entry["Labels"]
        name = self.owner.owned_name(labels)
        if name is None or f"/{name}" not in entry["Names"]:
            return None
        if entry["State"] == "running":
            return Found(name, host, labels[SPEC], listed_url(entry["Ports"], labels.get(PORT, "")))
        exited = EXITED.match(entry["Status"])
        code, log = int(exited[1]) if exited else None, _log(entry)
        return Found(name, host, labels[SPEC], running=False, exit_code=code, log=log)


def _one_image(image: str, resolved: Mapping[str, Mapping[str, Any]]) -> str:
    pinned = {pinned_image(image, str(one["id"]), one["digests"]) for one in resolved.values()}
    pinned = pinned if len(pinned) == 1 else {str(one["id"]) for one in resolved.values()}
    if len(pinned) > 1:
        raise RuntimeError(
            f"image {image} is not the same on {', '.join(sorted(resolved))}: pull it, or name its digest"
        )
    return pinned.pop()


def unresolved(image: str, host: str, reason: str) -> str:
    """Why a host does not have an image, in the engine's own words where the play told them."""
    said = ENGINE_SAID.search(reason)
    if said is None:
        return f"image {image} on {host}: {reason}"
    return refusal(image, f"{host}: {said[1]}", f"on {host}, as the user of its plays")


def _definition(order: StartOrder, variables: dict[str, str]) -> Value:
    definition = order.definition
    return {
        "image": definition.image,
        "command": list(definition.command),
        "port": definition.port,
        "env": variables,
        "network": definition.network,
        "volumes": list(definition.volumes),
        "memory": definition.memory,
        "cpus": definition.cpus,
        "user": definition.user,
        "pull": definition.pull,
        "pull_timeout_s": definition.pull_timeout_s,
        "log_size": definition.log_size,
    }


def _started(order: StartOrder, outcome: Outcome, variables: Mapping[str, str]) -> Started | Failed:
    url = outcome.statistics.get("stoker_started", {}).get(order.name)
    if url is not None:
        if isinstance(url, str) and URL.fullmatch(url):
            return Started(order.name, url, order.host)
        return Failed(order.name, one_line(f"the play must report http://ip:port, was {url!r}", variables.values()))
    failed = outcome.statistics.get("stoker_failed", {}).get(order.name)
    if not isinstance(failed, dict):
        reason = outcome.reason(_target(order.name, order.host), order.host)
        return Failed(order.name, one_line(reason, variables.values()))
    reason = one_line(str(failed.get("reason")), variables.values())
    return Failed(order.name, reason, _code(failed), _log(failed, variables.values()))


def _stopped(order: _StopOrder, outcome: Outcome) -> Removed | str:
    if order.name in outcome.statistics.get("stoker_stopped", {}):
        left = outcome.statistics.get("stoker_left", {}).get(order.name)
        return Removed(_log(left), _code(left)) if isinstance(left, dict) else Removed()
    failed = outcome.statistics.get("stoker_failed", {}).get(order.name)
    if isinstance(failed, dict):
        return one_line(str(failed.get("reason")))
    return outcome.reason(_target(order.name, order.host), order.host)


def _code(told: Mapping[str, Any]) -> int | None:
    code = told.get("exit_code")
    return code if isinstance(code, int) else None


def _log(told: Mapping[str, Any], secrets: Iterable[str] = ()) -> tuple[str, ...]:
    """The log lines that a play told of one instance: a play of a site's own may tell none, or anything."""
    lines = told.get("log")
    return last_lines("\n".join(map(str, lines)).encode("utf-8", "replace"), secrets) if isinstance(lines, list) else ()


def _target(name: str, host: str) -> str:
    return f"{name}@{host}"
