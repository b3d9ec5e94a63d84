"""What a scrape of the scaler tells, from steps of the real machine."""

from __future__ import annotations

import re
from pathlib import Path

from fleet.backend import LOCAL_HOST, Phase
from fleet.exporter import Health
from fleet.exposition import exposition
from fleet.registry import Happening, Sighting, Summary
from scaler.driver import drive, untraced
from scaler.messages import Deposed, Event, Report, StartFailed, StopFailed, Tick
from scaler.metrics import ALARMS, Metrics
from scaler.state import Instance, State
from scaler.turn import Step
from tests.fleet.test_exposition import read
from tests.scaler.builders import APP, EPOCH_S, SPEC, policy, reading
from tests.scaler.watched import Silent, Watched


def fleet_of(count: int) -> Watched:
    """A machine that has started so many instances, two seconds each."""
    machine = Watched(policy(min=count))
    machine.lead()
    machine.rps(0, 1)
    names = machine.started()
    machine.start(*names)
    machine.wait(1.0)
    machine.ready(*names)
    return machine


def test_instances_are_told_by_phase_and_definition() -> None:
    machine = fleet_of(2)
    assert machine.value("stoker_instances", phase="serving", spec=SPEC) == 2
    assert machine.value("stoker_instances_serving") == 2
    assert machine.value("stoker_instances_desired") == 2
    assert machine.value("stoker_instances_max") == 10


def test_the_minimum_is_the_one_in_force_and_its_schedule_is_told() -> None:
    day = {"name": "day", "min": 3, "start": "20 0 * * *", "end": "30 0 * * *"}
    machine = Watched(policy(min=1, schedules=[day]))
    machine.lead()
    machine.rps(0, 1)
    assert (1, 0) == (machine.value("stoker_instances_min"), machine.value("stoker_schedule_in_force", schedule="day"))
    machine.now = 1200.0  # the lease is renewed by the tick
    machine.rps(0, 1)
    assert (3, 1) == (machine.value("stoker_instances_min"), machine.value("stoker_schedule_in_force", schedule="day"))
    assert machine.value("stoker_instances_min_configured") == 1


def test_what_happens_to_instances_is_counted_once() -> None:
    machine = fleet_of(2)
    assert machine.value("stoker_instance_transitions_total", **{"from": "none", "to": "starting"}) == 2
    assert machine.value("stoker_instance_transitions_total", **{"from": "warming", "to": "serving"}) == 2
    assert machine.value("stoker_decisions_total", direction="up") == 1
    assert machine.value("stoker_decisions_total", direction="down") == 0
    published = machine.value("stoker_publications_total")
    assert published is not None
    assert published >= 3
    assert machine.value("stoker_generation") == machine.generation


def test_starts_last_from_the_order_to_serving() -> None:
    machine = fleet_of(2)
    assert machine.value("stoker_instance_start_duration_seconds_count") == 2
    assert machine.value("stoker_instance_start_duration_seconds_sum") == 4.0


def test_drains_last_until_the_stop_begins() -> None:
    metrics = Metrics(policy(), lambda: EPOCH_S, Silent(), untraced)
    draining = Instance("web7", Phase.DRAINING, LOCAL_HOST, SPEC, EPOCH_S, None, version=1)
    stopping = Happening(EPOCH_S + 2.5, "instance", "web7", Phase.DRAINING, Phase.STOPPING, ("nothing in flight",))
    decided = Happening(EPOCH_S, "decision", APP, "2", "1", ("calm",))
    metrics(Tick(EPOCH_S, None), Step(State(instances={"web7": draining}), (), ()))
    report = Report(Summary("BUSY", 1), (decided, stopping))
    metrics(Tick(EPOCH_S, None), Step(State(), (report,), ()))
    samples = read(exposition(metrics.collect(), {}))
    assert samples["stoker_instance_drain_duration_seconds_count"] == [({}, 1.0)]
    assert samples["stoker_instance_drain_duration_seconds_sum"] == [({}, 2.5)]
    assert ({"direction": "down"}, 1.0) in samples["stoker_decisions_total"]


def test_failed_starts_are_counted_and_their_row() -> None:
    machine = Watched(policy(min=1))
    machine.lead()
    machine.rps(0, 1)
    machine.take(StartFailed(machine.now, f"{APP}1", "no such image", 125))
    assert machine.value("stoker_instance_starts_failed_total") == 1
    assert machine.value("stoker_start_failures_in_a_row") == 1


def test_load_is_absent_without_data_and_there_with_it() -> None:
    machine = fleet_of(1)
    machine.rps(7, 5, in_flight=3, held=2)
    assert machine.value("stoker_load_requests_per_second", window="panic") == 7.0
    assert machine.value("stoker_load_in_flight_requests") == 3
    assert machine.value("stoker_load_held_requests") == 2
    machine.wait(1.0)
    machine.tick(silent=("p",))
    assert machine.value("stoker_load_requests_per_second", window="panic") is None
    assert machine.value("stoker_alarm", alarm="no-data") == 1
    assert machine.value("stoker_faults_total", fault="no-data") == 1
    assert machine.value("stoker_proxies", state="missing") == 1
    machine.tick(reading(generation=machine.generation))
    assert machine.value("stoker_alarm", alarm="no-data") == 0
    assert machine.value("stoker_faults_total", fault="no-data") == 1


def test_a_scaler_that_does_not_act_tells_nothing_of_the_fleet() -> None:
    machine = fleet_of(1)
    assert machine.value("stoker_scaler_acting") == 1
    assert machine.value("stoker_scaler_lease_held") == 1
    machine.take(Deposed(machine.now, "taken"))
    assert machine.value("stoker_scaler_acting") == 0
    assert machine.value("stoker_scaler_lease_held") == 0
    assert machine.value("stoker_instances_desired") is None
    assert machine.value("stoker_publications_total") is not None


def test_every_alarm_of_the_machine_is_known() -> None:
    sources = Path(__file__).resolve().parents[2].joinpath("scaler").glob("*.py")
    called = [re.findall(r'\.alarm\(\s*"([a-z-]+)"', source.read_text()) for source in sources]
    assert set(ALARMS) == {name for names in called for name in names}


def test_no_series_of_the_scaler_names_an_instance() -> None:
    machine = fleet_of(3)
    assert f"{APP}1" not in exposition(machine.metrics.collect(), {}).decode()


def test_faults_of_single_instances_are_counted_by_kind() -> None:
    machine = fleet_of(1)
    machine.take(StopFailed(machine.now, f"{APP}1", "the engine hangs"))
    assert machine.value("stoker_faults_total", fault="not-stopped") == 1


def driven(*events: Event, lasts_s: float = 0.0) -> tuple[Metrics, Silent]:
    """Metrics in front of a world in which these happened."""
    world = Silent(list(events), lasts_s=lasts_s)
    metrics = Metrics(policy(), lambda: world.now, world, untraced)
    drive(policy(), State(), metrics, metrics)
    return metrics, world


def test_a_tick_lasts_until_the_loop_asks_for_more() -> None:
    metrics, _ = driven(Tick(EPOCH_S, None), lasts_s=0.25)
    samples = read(exposition(metrics.collect(), {}))
    assert samples["stoker_scaler_tick_duration_seconds_sum"] == [({}, 0.25)]
    assert samples["stoker_scaler_tick_duration_seconds_count"] == [({}, 1.0)]


def test_it_is_ready_once_it_has_seen_the_store_and_says_its_role() -> None:
    metrics, world = driven()
    assert Health(good=False, why="not ready: no tick yet") == metrics.readiness()
    metrics, world = driven(Tick(EPOCH_S, Sighting((reading(),))))
    assert Health(good=True, why="ready: waits for the lease") == metrics.readiness()
    world.now += 6.1
    assert Health(good=False, why="not ready: the last tick was 6.1 s ago") == metrics.readiness()


def test_it_is_not_ready_while_the_store_is_gone() -> None:
    metrics, _ = driven(Tick(EPOCH_S, None))
    assert Health(good=False, why="not ready: the store cannot be reached") == metrics.readiness()
    assert read(exposition(metrics.collect(), {}))["stoker_store_reachable"] == [({}, 0.0)]


def test_it_is_alive_while_its_loop_turns() -> None:
    metrics, _ = driven(Tick(EPOCH_S, None))
    assert metrics.health().good
    metrics._turned_s -= 100
    assert Health(good=False, why="the loop has not turned for 100 s") == metrics.health()
