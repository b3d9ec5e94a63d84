"""The one table of what may become of an instance; whatever has no row here is a late answer and changes nothing."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from fleet.backend import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet.settings import LifeSettings


class Signal(StrEnum):
    """Why an instance's phase changes."""

    STARTED = "started"
    START_FAILED = "start failed"
    READY = "ready"
    CANCELLED = "cancelled"
    RELEASED = "released"
    EMPTY = "empty"
    DIED = "died"
    OVERDUE = "overdue"
    STOPPED = "stopped"


TRANSITIONS: Mapping[tuple[Phase, Signal], Phase] = MappingProxyType(
    {
        (Phase.STARTING, Signal.STARTED): Phase.WARMING,
        (Phase.STARTING, Signal.START_FAILED): Phase.FAILED,
        (Phase.STARTING, Signal.OVERDUE): Phase.FAILED,
        (Phase.STARTING, Signal.CANCELLED): Phase.STOPPING,
        (Phase.WARMING, Signal.READY): Phase.SERVING,
        (Phase.WARMING, Signal.DIED): Phase.FAILED,
        (Phase.WARMING, Signal.OVERDUE): Phase.FAILED,
        (Phase.WARMING, Signal.CANCELLED): Phase.STOPPING,
        (Phase.WARMING, Signal.RELEASED): Phase.DRAINING,
        (Phase.SERVING, Signal.RELEASED): Phase.DRAINING,
        (Phase.SERVING, Signal.DIED): Phase.STOPPING,
        (Phase.DRAINING, Signal.EMPTY): Phase.STOPPING,
        (Phase.DRAINING, Signal.OVERDUE): Phase.STOPPING,
        (Phase.DRAINING, Signal.DIED): Phase.STOPPING,
        (Phase.STOPPING, Signal.STOPPED): Phase.GONE,
        (Phase.STOPPING, Signal.OVERDUE): Phase.STOPPING,
        (Phase.FAILED, Signal.STOPPED): Phase.GONE,
        (Phase.FAILED, Signal.OVERDUE): Phase.FAILED,
    }
)


def deadline_s(life: LifeSettings, phase: Phase, pull_s: float) -> float | None:
    """How long an instance may be in this phase before OVERDUE; None where it may stay.

    `pull_s` is what pulling an image may take beside the start itself.
    """
    match phase:
        case Phase.STARTING:
            return life.start_timeout_s + pull_s
        case Phase.WARMING:
            return life.start_timeout_s
        case Phase.DRAINING:
            return life.drain_timeout_s
        case Phase.STOPPING | Phase.FAILED:
            return life.stop_timeout_s
        case Phase.SERVING | Phase.GONE:
            return None


def diagram() -> str:
    """The table as a Mermaid state diagram, for docs/SYSTEM.md."""
    rows = [f"    {before} --> {after}: {signal}" for (before, signal), after in TRANSITIONS.items()]
    return "\n".join(["stateDiagram-v2", "    [*] --> starting: ordered", *rows, "    gone --> [*]"])
