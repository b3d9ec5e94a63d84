"""What the scaler asks of a hand, in three calls; whatever a hand raises becomes Failed here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fleet.settings import InstanceSettings
from scaler.messages import Census

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class StartOrder:
    """One instance to start. `spec` is the hash of `definition`; it becomes the label `stoker.spec`."""

    name: str
    host: str
    spec: str
    definition: InstanceSettings


@dataclass(frozen=True, slots=True)
class Started:
    """It runs and listens, or soon will, at `url` (`http://ip:port`)."""

    name: str
    url: str
    host: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It does not run. `log` holds its last lines where it got so far as to write any."""

    name: str
    reason: str
    exit_code: int | None = None
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Removed:
    """It is not there any longer. `log` holds its last lines, where they could be had.

    `exit_code` only where it had ended before it was asked to.
    """

    log: tuple[str, ...] = ()
    exit_code: int | None = None


class Actuator(Protocol):
    """A hand. Every call blocks, within a timeout of its own."""

    @property
    def batches(self) -> bool:
        """Whether one call should carry all orders of a step (a play), instead of one call each."""

    def start(self, orders: Sequence[StartOrder]) -> Sequence[Started | Failed]:
        """Start each order; one result an order. Starting what already runs under its name and spec is success.

        Never removes or replaces anything.
        """

    def resolve(self, definition: InstanceSettings) -> str:
        """What exactly the definition's image stands for now, pulled where that is allowed; "" where there is none.

        That is `name@sha256:...` where a registry gave it, else the image's id. Raises RuntimeError or ValueError,
        with one line that says why it cannot be had.
        """

    def stop(self, name: str, host: str, grace_s: float) -> Removed:
        """Signal the end, wait `grace_s`, kill, remove. Absent is success; anything not labelled as ours is left.

        Raises RuntimeError, with one line that says why, when it may still be there.
        """

    def running(self) -> Census:
        """What is there by labels of this fleet and app, running or exited, and which hosts answered."""


def attempt_start(actuator: Actuator, orders: Sequence[StartOrder]) -> Sequence[Started | Failed]:
    """`start`, with one result an order whatever happens."""
    try:
        results = actuator.start(orders)
    except Exception as error:  # noqa: BLE001  # the one broad except: a hand's bug must not stop the loop
        return [Failed(order.name, _in_a_line(error)) for order in orders]
    told = {result.name for result in results}
    return [*results, *(Failed(order.name, "the actuator did not say") for order in orders if order.name not in told)]


def attempt_resolve(actuator: Actuator, definition: InstanceSettings) -> Failed | str:
    """`resolve`; Failed says why the image cannot be had."""
    try:
        return actuator.resolve(definition)
    except Exception as error:  # noqa: BLE001  # as above
        return Failed(definition.image, _in_a_line(error))


def attempt_stop(actuator: Actuator, name: str, host: str, grace_s: float) -> Failed | Removed:
    """`stop`; Failed says why it may still be there."""
    try:
        return actuator.stop(name, host, grace_s)
    except Exception as error:  # noqa: BLE001  # as above
        return Failed(name, _in_a_line(error))


def attempt_census(actuator: Actuator, asked_at: float) -> Census:
    """`running`; a hand that cannot count leaves a census in which no host answered."""
    try:
        return actuator.running()
    except Exception as error:  # noqa: BLE001  # as above
        return Census(asked_at, faults=(_in_a_line(error),))


def _in_a_line(error: Exception) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words if isinstance(error, RuntimeError | ValueError | OSError) else f"{type(error).__name__}: {words}"
