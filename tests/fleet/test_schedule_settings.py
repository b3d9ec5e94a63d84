from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleet.errors import SettingsError
from fleet.settings import load

if TYPE_CHECKING:
    from pathlib import Path

OFFICE = {"name": "office", "min": 4, "start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "timezone": "Europe/Berlin"}
FIVE = "must be a cron expression of five fields: minute, hour, day, month, day of the week"


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(**changed: object) -> str:
    entry = {key: value for key, value in {**OFFICE, **changed}.items() if value is not None}
    with pytest.raises(SettingsError) as error:
        load(None, **{"policy.schedules": [entry]})
    return str(error.value)


def test_a_schedule_is_read_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "stoker.toml"
    lines = "\n".join(f"{key} = {value!r}" for key, value in OFFICE.items())
    file.write_text(f"[policy]\nmax = 8\n[[policy.schedules]]\n{lines}\n[[policy.schedules]]\n{lines}\n")
    assert [OFFICE, OFFICE] == [one.model_dump(exclude={"duration_s"}) for one in load(file).policy.schedules]


def test_the_environment_holds_schedules_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "STOKER_POLICY__SCHEDULES", '[{"name": "n", "min": 2, "start": "0 1 * * *", "duration_s": 3600}]'
    )
    [schedule] = load().policy.schedules
    assert (2, 3600.0, "UTC") == (schedule.min, schedule.duration_s, schedule.timezone)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"start": "0 8 * *"}, f"policy.schedules.0.start: {FIVE}, was '0 8 * *'"),
        ({"start": "0 0 8 * * 1"}, f"policy.schedules.0.start: {FIVE}, was '0 0 8 * * 1'"),
        ({"start": ""}, f"policy.schedules.0.start: {FIVE}, was ''"),
        (
            {"start": "0 25 * * *"},
            "policy.schedules.0.start: must be a cron expression; bad hour, was '0 25 * * *'",
        ),
        (
            {"end": "0 0 31 2 *"},
            "policy.schedules.0.end: must be a cron expression; bad day-of-month, was '0 0 31 2 *'",
        ),
        (
            {"end": "0 0 */31 * 1#2"},
            (
                "policy.schedules.0.end: must be a cron expression that comes at some time; this one never does, "
                "was '0 0 */31 * 1#2'"
            ),
        ),
        (
            {"timezone": "Europe"},
            "policy.schedules.0.timezone: must be a time zone such as Europe/Berlin or UTC, was 'Europe'",
        ),
        (
            {"timezone": "../../etc/passwd"},
            "policy.schedules.0.timezone: must be a time zone such as Europe/Berlin or UTC, was '../../etc/passwd'",
        ),
        (
            {"timezone": "Berlin"},
            "policy.schedules.0.timezone: must be a time zone such as Europe/Berlin or UTC, was 'Berlin'",
        ),
        ({"end": None}, "policy.schedules.0: either end or duration_s must be set, not both"),
        ({"duration_s": 60}, "policy.schedules.0: either end or duration_s must be set, not both"),
        ({"end": "0  8 * * 1-5"}, "policy.schedules.0: end must differ from start, was '0  8 * * 1-5'"),
        ({"min": 11}, "policy: schedules.0.min must be at most max (10), was 11"),
        ({"min": -1}, "policy.schedules.0.min: input should be greater than or equal to 0, was -1"),
        ({"name": None}, "policy.schedules.0.name: field required"),
        ({"weekdays": "mo"}, "policy.schedules.0.weekdays is not a setting; docs/settings.md lists them"),
    ],
)
def test_a_wrong_schedule_stops_the_start_with_one_line(changed: dict[str, object], line: str) -> None:
    assert line == refusal(**changed)
