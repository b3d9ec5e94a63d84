"""Which minimum is in force when, over changes of clocks, overlaps and restarts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import process_time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from fleet.registry import Order, OrderKind
from fleet.schedule_settings import ScheduleSettings
from fleet.settings import PolicySettings
from scaler.messages import Ordered, Publish, Report
from scaler.schedule import ASIDE, Minimum, minimum_at
from scaler.state import FleetState
from tests.scaler.builders import Machine, reading, serving

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = {"name": "office", "min": 4, "start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "timezone": "Europe/Berlin"}
DAY = {"name": "day", "min": 3, "start": "20 0 * * *", "end": "30 0 * * *"}
MARCH_SWITCH = datetime(2026, 3, 29, 1, tzinfo=UTC)  # 02:00 becomes 03:00 in Berlin
OCTOBER_SWITCH = datetime(2026, 10, 25, 1, tzinfo=UTC)  # 03:00 becomes 02:00


def sizes(*schedules: dict[str, Any], **values: Any) -> PolicySettings:
    return PolicySettings(schedules=tuple(ScheduleSettings(**one) for one in schedules), **values)


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def count(policy: PolicySettings, text: str, fold: int = 0) -> int:
    return minimum_at(policy, at(text, fold=fold)).count


def every(policy: PolicySettings, begin: datetime, hours: float) -> list[tuple[str, int]]:
    """Each change of the minimum, found minute by minute, in Berlin's time."""
    found = list[tuple[str, int]]()
    for minute in range(round(hours * 60)):
        now = begin + timedelta(minutes=minute)
        minimum = minimum_at(policy, now.timestamp()).count
        if not found or found[-1][1] != minimum:
            found.append((now.astimezone(BERLIN).strftime("%d %H:%M %Z"), minimum))
    return found


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2026-11-20 07:59:59", 1),
        ("2026-11-20 08:00", 4),
        ("2026-11-20 17:59:59", 4),
        ("2026-11-20 18:00", 1),
        ("2026-11-21 12:00", 1),  # a Saturday
        ("2026-11-23 08:00", 4),
    ],
)
def test_a_start_belongs_to_its_time_and_an_end_does_not(when: str, expected: int) -> None:
    assert expected == count(sizes(OFFICE), when)


def test_the_reason_names_the_schedule_and_its_end() -> None:
    found = minimum_at(sizes(OFFICE), at("2026-11-20 09:00"))
    assert "schedule office: min 4 until Fri 18:00 Europe/Berlin" == found.reason


def test_a_minimum_holds_until_the_next_boundary() -> None:
    assert at("2026-11-20 18:00") == minimum_at(sizes(OFFICE), at("2026-11-20 09:00")).until
    assert at("2026-11-23 08:00") == minimum_at(sizes(OFFICE), at("2026-11-20 18:00")).until


def test_without_schedules_the_minimum_holds_for_ever() -> None:
    assert Minimum(2) == minimum_at(sizes(min=2), 1e9)
    assert minimum_at(sizes(min=2), 1e9).holds(2e9)


def test_of_overlapping_schedules_the_largest_wins_and_each_boundary_is_seen() -> None:
    noon = {**OFFICE, "name": "noon", "min": 6, "start": "0 12 * * *", "end": "0 13 * * *"}
    changes = every(sizes(OFFICE, noon), datetime(2026, 11, 20, tzinfo=UTC), 24)
    assert [
        ("20 01:00 CET", 1),
        ("20 08:00 CET", 4),
        ("20 12:00 CET", 6),
        ("20 13:00 CET", 4),
        ("20 18:00 CET", 1),
    ] == changes
    assert at("2026-11-20 12:00") == minimum_at(sizes(OFFICE, noon), at("2026-11-20 09:00")).until


def test_a_schedule_below_the_plain_minimum_changes_nothing_and_gives_no_reason() -> None:
    found = minimum_at(sizes(OFFICE, min=5), at("2026-11-20 09:00"))
    assert (5, "") == (found.count, found.reason)


def test_a_duration_runs_in_true_seconds_from_the_newest_start() -> None:
    policy = sizes({"name": "hours", "min": 2, "start": "0 6,7 * * *", "duration_s": 5400})
    begin = datetime(2026, 6, 1, tzinfo=UTC)
    assert [("01 02:00 CEST", 1), ("01 08:00 CEST", 2), ("01 10:30 CEST", 1)] == every(policy, begin, 24)


def test_office_hours_are_those_of_the_wall_clock_on_both_switches() -> None:
    sundays = sizes({**OFFICE, "start": "0 8 * * *", "end": "0 18 * * *"})
    assert [("29 00:00 CET", 1), ("29 08:00 CEST", 4), ("29 18:00 CEST", 1)] == every(
        sundays, MARCH_SWITCH - timedelta(hours=2), 20
    )
    assert [("25 00:00 CEST", 1), ("25 08:00 CET", 4), ("25 18:00 CET", 1)] == every(
        sundays, OCTOBER_SWITCH - timedelta(hours=3), 22
    )


def test_a_time_that_the_switch_skips_comes_when_the_skipping_ends() -> None:
    late = sizes({**OFFICE, "start": "30 2 * * *", "end": "0 4 * * *"})
    assert [("29 00:00 CET", 1), ("29 03:00 CEST", 4), ("29 04:00 CEST", 1)] == every(
        late, MARCH_SWITCH - timedelta(hours=2), 12
    )


def test_a_schedule_that_lies_in_the_skipped_hour_does_not_come_that_day() -> None:
    skipped = sizes({**OFFICE, "start": "15 2 * * *", "end": "45 2 * * *"})
    assert [("29 00:00 CET", 1), ("30 02:15 CEST", 4), ("30 02:45 CEST", 1)] == every(
        skipped, MARCH_SWITCH - timedelta(hours=2), 30
    )


def test_a_time_that_the_switch_repeats_comes_once() -> None:
    doubled = sizes({**OFFICE, "start": "15 2 * * *", "end": "45 2 * * *"})
    assert [("25 00:00 CEST", 1), ("25 02:15 CEST", 4), ("25 02:45 CEST", 1)] == every(
        doubled, OCTOBER_SWITCH - timedelta(hours=3), 24
    )
    assert 1 == count(doubled, "2026-10-25 02:30", fold=1)


def test_a_schedule_that_wraps_midnight_and_the_week_is_in_force_in_between() -> None:
    weekend = sizes({**OFFICE, "start": "0 20 * * 5", "end": "0 6 * * 1"})
    assert [1, 4, 4, 4, 1] == [
        count(weekend, f"2026-11-{day} {hour}")
        for day, hour in ((20, "19:59"), (20, "20:00"), (22, "12:00"), (23, "05:59"), (23, "06:00"))
    ]


def test_one_that_starts_at_its_own_end_is_over() -> None:
    always = sizes({**OFFICE, "start": "0 0 * * *", "end": "0 0 * * 1"})
    assert (4, 1, 4) == (
        count(always, "2026-11-22 12:00"),
        count(always, "2026-11-23 12:00"),
        count(always, "2026-11-24 12:00"),
    )


@given(
    st.sampled_from(
        ["0 8 * * *", "30 2 * * *", "*/15 * * * *", "5 */2 * * *", "0 3 * * 0", "59 1 * * *", "0 * 29 3 *"]
    ),
    st.sampled_from(["0 18 * * *", "45 2 * * *", "0 4 * * *", "10 3 * * 0", "7 * * * *"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "UTC"]),
    st.sampled_from(
        [MARCH_SWITCH, OCTOBER_SWITCH, datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)]
    ),
    st.integers(-6 * 3600, 6 * 3600),
)
def test_what_holds_is_what_a_walk_through_all_times_finds(
    start: str, end: str, zone: str, switch: datetime, offset_s: int
) -> None:
    policy = sizes({**OFFICE, "start": start, "end": end, "timezone": zone})
    now = switch.timestamp() + offset_s
    begin = datetime.fromtimestamp(now, ZoneInfo(zone)) - timedelta(days=9)
    last = {}
    for name, cron in (("start", start), ("end", end)):
        for time in CronSim(cron, begin):
            if time.timestamp() > now + ASIDE.total_seconds():
                break
            if time.timestamp() <= now:
                last[name] = time.timestamp()
    found = minimum_at(policy, now)
    assert (4 if last.get("start", 0.0) > last.get("end", 0.0) else 1) == found.count
    assert found.until is not None
    assert found.until > now
    assert (found.count, found.until) == (
        minimum_at(policy, found.until - 1).count,
        minimum_at(policy, found.until - 1).until,
    )


def test_a_tick_between_boundaries_computes_nothing() -> None:
    machine = Machine(Machine().policy)
    machine.policy = type(machine.policy)("web", "spec1", sizes(OFFICE), machine.policy.life)
    machine.lead()
    found = machine.state.minimum
    for _ in range(100):
        machine.wait(1.0)
        machine.tick(reading(uptime_ms=round(machine.now * 1000)))
    assert found is not None
    assert found is machine.state.minimum


def test_a_boundary_costs_little() -> None:
    policy = sizes(*[{**OFFICE, "name": f"s{number}"} for number in range(10)])
    begin = process_time()
    for hour in range(20):
        minimum_at(policy, at("2026-11-20 00:30") + 3600 * hour)
    assert (process_time() - begin) / 20 < 0.1  # ten schedules, at their boundaries only; about 2 ms where it is quiet


def test_the_minimum_in_force_is_what_is_kept_and_why() -> None:
    machine = serving(1, schedules=[DAY], max=8)
    machine.now = 1199.0
    machine.tick(reading())
    assert 1 == machine.state.desired
    machine.wait(1.0)
    machine.tick(reading())
    assert (3, FleetState.BUSY) == (machine.state.desired, machine.state.fleet_state)
    assert {"min: 1 would do, 3 are kept", "schedule day: min 3 until Thu 00:30 UTC"} <= set(machine.state.reasons)
    assert {"web2": "starting", "web3": "starting"}.items() <= machine.phases().items()


def test_the_summary_tells_the_minimum_in_force_and_which_schedule_gives_it() -> None:
    machine = serving(1, schedules=[DAY], max=8)
    for now, expected in ((1199.0, (1, "")), (1200.0, (3, "day"))):
        machine.now = now
        taken = machine.tick(reading())
        written = [
            one.change.summary if isinstance(one, Publish) else one.summary
            for one in taken.effects
            if isinstance(one, Publish | Report)
        ]
        assert [expected] == [(one.minimum, one.schedule) for one in written]


def test_an_order_and_a_pause_stay_above_the_minimum_in_force() -> None:
    machine = serving(1, schedules=[DAY], max=8)
    machine.now = 1201.0
    machine.tick(reading())
    machine.take(Ordered(machine.now, Order(OrderKind.SCALE, 2, "1-1")))
    assert (3, "schedule day: min 3 until Thu 00:30 UTC") == (machine.state.desired, machine.state.reasons[-1])
    machine.take(Ordered(machine.now, Order(OrderKind.AUTO, None, "1-2")))
    machine.take(Ordered(machine.now, Order(OrderKind.PAUSE, None, "1-3")))
    assert ("paused at 3", "schedule day: min 3 until Thu 00:30 UTC") == (
        machine.state.reasons[0],
        machine.state.reasons[-1],
    )


def test_a_minimum_never_exceeds_the_maximum() -> None:
    machine = serving(1, schedules=[DAY], max=3)
    machine.now = 1201.0
    machine.tick(reading())
    machine.rps(500.0, 9)
    assert 3 == machine.state.desired
