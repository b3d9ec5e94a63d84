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
    moment, index, since = began, 0, began
    while moment < end:
        while index + 1 < len(looks) and looks[index + 1].at <= moment:
            index += 1
        status = looks[index].status
        acting = status.acting if status else None
        able = [one.name for one in stage.scalers if _able(faults, one.name, max(since, moment - TAKE_OVER_S), moment)]
        if not able or (acting is not None and _able(faults, acting, moment, moment)):
            since = moment
        elif moment - since > TAKE_OVER_S:
            found.append((moment, f"take-over within {TAKE_OVER_S:g} s: {able} could, {acting or 'nobody'} holds it"))
            since = moment + TAKE_OVER_S
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
