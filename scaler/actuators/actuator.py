"""What the scaler asks of a hand, in three calls; whatever a hand raises becomes Failed here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fleet.settings import InstanceSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler.messages import Census


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


class Actuator(Protocol):
    """A hand. Every call blocks, within a timeout of its own."""

    @property
    def batches(self) -> bool:
        """Whether one call should carry all orders of a step (a play), instead of one call each."""

    def start(self, orders: Sequence[StartOrder]) -> list[Started | Failed]:
        """Start each order; one result an order. Starting what already runs under its name and spec is success.

        Never removes or replaces anything.
        """

    def stop(self, name: str, host: str, grace_s: float) -> None:
        """Signal the end, wait `grace_s`, kill, remove. Absent is success; anything not labelled as ours is left.

        Raises RuntimeError, with one line that says why, when it may still be there.
        """

    def running(self) -> Census:
        """What is there by labels of this fleet and app, running or exited, and which hosts answered."""
