"""The minimum that is in force at a moment, by the schedules: pure, the time is an argument.

Cron times are those of a clock on a wall in the schedule's zone. A time that a change of clocks skips comes when the
skipping ends; one that it repeats comes once, the first time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cronsim import CronSim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.schedule_settings import ScheduleSettings
    from fleet.settings import PolicySettings

# More than any change of clocks: a search that begins so far off begins outside the repeated hour.
ASIDE = timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class Minimum:
    """`count` from `since` until `until` (Unix seconds, None: for ever).

    `schedule` is the name of the one that gives it, "" where none does; `reason` says so in words.
    """

    count: int
    reason: str = ""
    since: float = 0.0
    until: float | None = None
    schedule: str = ""

    def holds(self, now: float) -> bool:
        """Whether it need not be computed again."""
        return self.since <= now and (self.until is None or now < self.until)


def minimum_at(sizes: PolicySettings, now: float) -> Minimum:
    """The largest of `sizes.min` and of the schedules in force at that Unix time; never above `sizes.max`."""
    best, until = Minimum(sizes.min), list[float]()
    for schedule in sizes.schedules:
        in_force, change = _state(schedule, now)
        if change is not None:
            until.append(change)
        if in_force and schedule.min > best.count:
            best = Minimum(min(schedule.min, sizes.max), _why(schedule, change), schedule=schedule.name)
    return replace(best, since=now, until=min(until, default=None)) if sizes.schedules else best


def _state(schedule: ScheduleSettings, now: float) -> tuple[bool, float | None]:
    """Whether it is in force, and when that changes. At a moment that is both a start and an end, the end wins."""
    zone = ZoneInfo(schedule.timezone)
    began = _last(schedule.start, zone, now)
    if began is not None and schedule.end is not None:
        ended = _last(schedule.end, zone, now)
        if ended is None or began > ended:
            return True, _next(schedule.end, zone, now)
    elif began is not None and schedule.duration_s is not None and now < began + schedule.duration_s:
        return True, began + schedule.duration_s
    return False, _next(schedule.start, zone, now)


def _last(cron: str, zone: ZoneInfo, now: float) -> float | None:
    """The newest time of this expression that is not after `now`."""
    from_here = datetime.fromtimestamp(now, zone) + ASIDE
    return next((at for at in _times(CronSim(cron, from_here, reverse=True)) if at <= now), None)


def _next(cron: str, zone: ZoneInfo, now: float) -> float | None:
    """The first time of this expression after `now`."""
    from_here = datetime.fromtimestamp(now, zone) - ASIDE
    return next((at for at in _times(CronSim(cron, from_here)) if at > now), None)


def _times(found: CronSim) -> Iterator[float]:
    return (at.astimezone(UTC).timestamp() for at in found)


def _why(schedule: ScheduleSettings, until: float | None) -> str:
    if until is None:
        return f"schedule {schedule.name}: min {schedule.min}"
    local = datetime.fromtimestamp(until, ZoneInfo(schedule.timezone))
    return f"schedule {schedule.name}: min {schedule.min} until {local:%a %H:%M} {schedule.timezone}"
