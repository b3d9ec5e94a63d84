"""Whether another scaler took over in time wherever one could."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.chaos.live.faults import Faults
    from tests.chaos.live.stage import Stage

TAKE_OVER_S = 10.0
STEP_S = 0.25
# From the start of its process until a scaler asks for the lease.
STARTS_S = 2.5
STORE = {"store-down", "store-hung", "store-slow", "store-old", "disk-full"}
SCALER = {"kill", "pause", "cut"}


def late_take_overs(stage: Stage, faults: Faults, began: float) -> list[tuple[float, str]]:
    """Moments at which nobody able acted, although somebody had been able to for longer than a take-over may take."""
    found: list[tuple[float, str]] = []
    looks = stage.watch.looks
    end = looks[-1].at if looks else began
    moment, index = began + TAKE_OVER_S, 0
    while moment < end:
        while index + 1 < len(looks) and looks[index + 1].at <= moment:
            index += 1
        status = looks[index].status
        acting = status.acting if status else None
        able = [one.name for one in stage.scalers if _able(faults, one.name, moment - TAKE_OVER_S, moment)]
        if able and (acting is None or not _able(faults, acting, moment - 0.5, moment)):
            # One that has just been hit still holds its lease; whoever waits has had the whole time only if it did not.
            hit = [one.at for one in faults.done if one.kind in SCALER and one.target == acting]
            if acting is None or any(at <= moment - TAKE_OVER_S for at in hit if _under(faults, acting, at, moment)):
                found.append(
                    (moment, f"take-over within {TAKE_OVER_S:g} s: {able} could, {acting or 'nobody'} holds it")
                )
                moment += 30
        moment += STEP_S
    return found


def _able(faults: Faults, scaler: str, since: float, until: float) -> bool:
    """Whether nothing kept that scaler from acting in that time."""
    return not any(
        one.at <= until
        and since <= one.until + (STARTS_S if one.kind == "kill" or one.kind in STORE else 0.5)
        and (one.kind in STORE or (one.kind in SCALER and one.target == scaler))
        for one in faults.done
    )


def _under(faults: Faults, scaler: str, at: float, moment: float) -> bool:
    """Whether the fault that began then still lasts."""
    return any(one.target == scaler and one.at == at and one.until >= moment for one in faults.done)
