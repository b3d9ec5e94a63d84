from __future__ import annotations

from typing import TYPE_CHECKING

from fleet.registry import Sighting, Snapshot, Status
from fleet.settings import load
from stoker.doctor.finding import Grade
from stoker.doctor.fleet_now import check_fleet, check_proxy, judged
from tests.scaler.builders import reading

if TYPE_CHECKING:
    from pathlib import Path

SUMMARY = None


def told(status: Status) -> list[tuple[str, Grade]]:
    return [(one.subject, one.grade) for one in judged(status)]


def test_a_fleet_that_runs_is_well() -> None:
    status = Status(SUMMARY, Snapshot(5, {}), Sighting((reading(generation=5),)), acting="s")
    assert [("scaler", Grade.OK), ("proxies", Grade.OK)] == told(status)


def test_nobody_acts_and_nobody_reports() -> None:
    assert [("scaler", Grade.WRONG), ("proxies", Grade.WRONG)] == told(
        Status(SUMMARY, Snapshot(5, {}), Sighting(()), (("s", 99.0),))
    )


def test_a_proxy_behind_and_a_silent_one_are_named() -> None:
    sighting = Sighting((reading("p", generation=4),), ("q",))
    findings = judged(Status(SUMMARY, Snapshot(5, {}), sighting, acting="s"))
    assert ["p has applied generation 4 of 5", "q is silent: nothing is scaled down by choice"] == [
        one.text for one in findings[1:]
    ]


def test_what_cannot_be_believed_is_told() -> None:
    sighting = Sighting((reading(generation=5),), faults=("proxy q: nonsense",))
    assert ("registry", Grade.WRONG) in told(
        Status(SUMMARY, Snapshot(5, {}, ("backend x: nonsense",)), sighting, acting="s")
    )


def test_a_fleet_that_never_ran_is_nothing_to_check(tmp_path: Path) -> None:
    assert [("fleet", Grade.SKIPPED)] == told(Status(SUMMARY, None, Sighting(())))
    settings = load(None, state_dir=tmp_path)
    assert [Grade.SKIPPED] * 2 == [one.grade for one in (*check_fleet(settings), *check_proxy(settings))]
