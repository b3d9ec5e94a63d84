"""Instances as containers of one Docker engine, through its API: create, start, and one look for the port."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests
from docker import APIClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from fleet.backend import LOCAL_HOST
from scaler.actuators.actuator import Failed, Removed, Started, StartOrder
from scaler.actuators.container import ID, creation, listed_url, pinned_image, published_url
from scaler.actuators.definition import check_container, environment
from scaler.actuators.excerpt import LINES, last_lines, one_line
from scaler.actuators.labels import APP, FLEET, PORT, SPEC, Owner
from scaler.actuators.pull import Puller
from scaler.messages import Census, Found

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fleet.settings import InstanceSettings


CONFLICT = 409
HOSTS = frozenset({LOCAL_HOST})


@dataclass(frozen=True, slots=True)
class DockerActuator:
    """The hand that talks to one engine. All calls share `client`, whose timeout bounds each of them."""

    client: APIClient
    puller: Puller
    owner: Owner
    publish_address: str
    now: Callable[[], float]
    token: str | None = field(default=None, repr=False)

    @property
    def batches(self) -> bool:
        """Each order is a call of its own."""
        return False

    def start(self, orders: Sequence[StartOrder]) -> list[Started | Failed]:
        """Create and start each. Nothing is removed, and what runs under its name and spec is success."""
        return [self._start(order) for order in orders]

    def _start(self, order: StartOrder) -> Started | Failed:
        secrets: tuple[str, ...] = ()
        try:
            self.owner.check(order.name)
            variables = environment(order.definition, self.token)
            secrets = tuple(variables.values())
            with explained():
                return self._launch(order, variables)
        except (RuntimeError, ValueError) as error:
            return Failed(order.name, one_line(str(error), secrets))

    def _launch(self, order: StartOrder, variables: dict[str, str]) -> Started | Failed:
        labels = self.owner.labels(order.name, order.spec, order.definition.port)
        body = creation(self.client, order.definition, variables, labels, self.publish_address)
        try:
            self._create(order, body)
        except APIError as error:
            if error.status_code != CONFLICT:
                raise
            return self._resume(order)
        return self._begin(order)

    def _create(self, order: StartOrder, body: dict[str, Any]) -> None:
        definition = order.definition
        if definition.pull == "always" and not definition.image.startswith(ID):
            self.puller.pull(definition.image, definition.pull_timeout_s)
        create: Callable[..., object] = self.client.create_container_from_config
        try:
            create(body, order.name)
        except ImageNotFound:
            if definition.pull != "missing" or definition.image.startswith(ID):
                raise
            self.puller.pull(definition.image, definition.pull_timeout_s)
            create(body, order.name)

    def _resume(self, order: StartOrder) -> Started | Failed:
        """Take what has this name already, if it is this very order's from an earlier try."""
        found = self.client.inspect_container(order.name)
        labels = found["Config"]["Labels"] or {}
        if self.owner.owned_name(labels) != order.name:
            return Failed(order.name, f"the name {order.name} is taken by a container that is not this fleet's")
        if labels[SPEC] != order.spec:
            return Failed(order.name, f"{order.name} exists with spec {labels[SPEC]}, ordered was {order.spec}")
        if found["State"]["Status"] == "created":
            return self._begin(order)
        return self._arrived(order, found)

    def _begin(self, order: StartOrder) -> Started | Failed:
        self.client.start(order.name)
        return self._arrived(order, self.client.inspect_container(order.name))

    def _arrived(self, order: StartOrder, found: dict[str, Any]) -> Started | Failed:
        if not found["State"]["Running"]:
            code, log = self._ending(found)
            return Failed(order.name, "it has exited", code, log)
        url = published_url(found["NetworkSettings"]["Ports"] or {}, order.definition.port)
        if url is None:
            return Failed(order.name, f"the engine published no port for {order.definition.port}/tcp")
        return Started(order.name, url, LOCAL_HOST)

    def _ending(self, found: dict[str, Any]) -> tuple[int, tuple[str, ...]]:
        output = self.client.logs(found["Id"], tail=LINES)
        values = [entry.partition("=")[2] for entry in found["Config"]["Env"] or ()]
        return int(found["State"]["ExitCode"]), last_lines(output, values)

    def resolve(self, definition: InstanceSettings) -> str:
        """The image's digest of its registry, else its id; pulled as `instance.pull` says."""
        check_container(definition)
        image = definition.image
        inspect: Callable[[str], dict[str, Any]] = self.client.inspect_image
        with explained():
            if definition.pull == "always" and not image.startswith(ID):
                self.puller.pull(image, definition.pull_timeout_s)
            try:
                found = inspect(image)
            except ImageNotFound:
                if definition.pull == "never" or image.startswith(ID):
                    raise RuntimeError(f"image {image} is not on this engine (instance.pull)") from None
                self.puller.pull(image, definition.pull_timeout_s)
                found = inspect(image)
        return pinned_image(image, found["Id"], found.get("RepoDigests") or ())

    def stop(self, name: str, host: str, grace_s: float) -> Removed:
        """Stop with grace, then remove, by id; a container without all our labels is left alone."""
        del host
        self.owner.check(name)
        with explained():
            try:
                found = self.client.inspect_container(name)
                if self.owner.owned_name(found["Config"]["Labels"] or {}) != name:
                    return Removed()
                self.client.stop(found["Id"], timeout=math.ceil(grace_s))
                code, log = self._ending(found)
                self.client.remove_container(found["Id"], v=True, force=True)
            except NotFound:
                return Removed()
        return Removed(log, None if found["State"]["Running"] else code)

    def running(self) -> Census:
        """Every container with our labels, in one call; one more for each that has exited."""
        asked_at = self.now()
        marks = [f"{FLEET}={self.owner.fleet}", f"{APP}={self.owner.app}"]
        try:
            with explained():
                listed = self.client.containers(all=True, filters={"label": marks})
                found = [self._found(entry) for entry in listed]
        except RuntimeError as error:
            return Census(asked_at, hosts=HOSTS, faults=(str(error),))
        return Census(asked_at, tuple(one for one in found if one), HOSTS, HOSTS)

    def _found(self, entry: dict[str, Any]) -> Found | None:
        labels = entry["Labels"]
        name = self.owner.owned_name(labels)
        if name is None or f"/{name}" not in entry["Names"]:
            return None
        if entry["State"] == "running":
            return Found(name, LOCAL_HOST, labels[SPEC], listed_url(entry["Ports"], labels.get(PORT, "")))
        try:
            code, log = self._ending(self.client.inspect_container(entry["Id"]))
        except NotFound:
            return None
        return Found(name, LOCAL_HOST, labels[SPEC], running=False, exit_code=code, log=log)


@contextmanager
def explained() -> Iterator[None]:
    """Turn whatever the SDK raises into RuntimeError of one line: the engine said no, hangs, or is not there."""
    try:
        yield
    except APIError as error:
        raise RuntimeError(one_line(f"the engine refused: {error.explanation or error}")) from error
    except (requests.RequestException, DockerException) as error:
        raise RuntimeError(one_line(_trouble(error))) from error


def _trouble(error: BaseException) -> str:
    """The system's own words, from under the wrappers that the SDK and requests put around them."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, requests.Timeout):
            return "the engine did not answer in time (actuator.call_timeout_s)"
        if isinstance(cause, OSError) and cause.strerror:
            return f"the engine cannot be reached: {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    return f"the engine cannot be reached: {error}"
