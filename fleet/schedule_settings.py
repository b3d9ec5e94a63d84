"""A schedule of the minimum, as `[[policy.schedules]]` in stoker.toml."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from fleet.section import Positive, Section

FIELDS = 5
EARLIEST = 2000  # a leap year from which every pattern of days of the calendar lies ahead


def _cron(text: str) -> str:
    from datetime import UTC, datetime

    from cronsim import CronSim, CronSimError

    if len(text.split()) != FIELDS:
        raise ValueError("must be a cron expression of five fields: minute, hour, day, month, day of the week")
    try:
        first = next(CronSim(text, datetime(EARLIEST, 1, 1, tzinfo=UTC)), None)
    except CronSimError as error:
        raise ValueError(f"must be a cron expression; {str(error).lower()}") from error
    if first is None:
        raise ValueError("must be a cron expression that comes at some time; this one never does")
    return text


def _zone(name: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:  # a folder of zones; no zone's name; no such zone
        raise ValueError("must be a time zone such as Europe/Berlin or UTC") from error
    return name


Cron = Annotated[str, AfterValidator(_cron)]
Zone = Annotated[str, AfterValidator(_zone)]


class ScheduleSettings(Section):
    """A time in which the minimum is higher. As often as needed; where several are in force the largest `min` wins."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$", description="What reasons and status call it.")
    min: int = Field(ge=0, le=10_000, description="Never fewer serving instances than this while it is in force.")
    start: Cron = Field(description="It begins at these times: a cron expression, such as 0 8 * * 1-5.")
    end: Cron | None = Field(None, description="It ends at these times: a cron expression. Either this or duration_s.")
    duration_s: Positive | None = Field(None, le=366 * 86_400, description="It ends so long after each start.")
    timezone: Zone = Field("UTC", description="The zone of `start` and `end`, such as Europe/Berlin.")

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if (self.end is None) == (self.duration_s is None):
            raise ValueError("either end or duration_s must be set, not both")
        if self.end is not None and self.end.split() == self.start.split():
            raise ValueError(f"end must differ from start, was {self.end!r}")
        return self
