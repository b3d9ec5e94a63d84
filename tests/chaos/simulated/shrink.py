"""A run that breaks a promise, made as small as it can be while it still breaks the same one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.chaos.simulated.model import BrokenError
from tests.chaos.simulated.world import World

if TYPE_CHECKING:
    from tests.chaos.simulated.plan import Fault, Plan


def broken(plan: Plan) -> BrokenError | None:
    """What a run of the plan breaks."""
    try:
        World(plan).run()
    except BrokenError as error:
        return error
    return None


def shrink(plan: Plan, found: BrokenError) -> tuple[Plan, BrokenError]:
    """Cut off what comes later, then leave out ever smaller groups of faults (ddmin)."""
    promise = found.promise
    plan, found = _try(plan, found, _cut(plan, found.at + 1.0), promise)
    faults = plan.faults
    size = max(1, len(faults) // 2)
    while size >= 1:
        start = 0
        while start < len(plan.faults):
            rest: tuple[Fault, ...] = (*plan.faults[:start], *plan.faults[start + size :])
            before = plan
            plan, found = _try(plan, found, replace(plan, faults=rest), promise)
            if plan is before:
                start += size
        size //= 2
    return _try(plan, found, _cut(plan, found.at + 1.0), promise)


def _try(plan: Plan, found: BrokenError, smaller: Plan, promise: str) -> tuple[Plan, BrokenError]:
    error = broken(smaller)
    if error is not None and error.promise == promise:
        return smaller, error
    return plan, found


def _cut(plan: Plan, until: float) -> Plan:
    """The plan up to that time."""
    parts, since = [], 0.0
    for rate, end in plan.load:
        if since < until:
            parts.append((rate, round(min(end, until), 1)))
        since = end
    return replace(plan, load=tuple(parts), faults=tuple(fault for fault in plan.faults if fault.at <= until))
