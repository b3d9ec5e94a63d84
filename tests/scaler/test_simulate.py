"""The simulated world: it tells the machine what the live one would, faults included."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.settings import LifeSettings, PolicySettings
from scaler.course import Course, Faults, recorded, steps, within
from scaler.messages import Counted, Deposed, Elected, Event, Placement, Probed, Tick, Unpublished
from scaler.simulate import simulate
from scaler.simulated_hosts import SimulatedHosts
from scaler.state import Policy
from tests.scaler.builders import APP, SPEC

if TYPE_CHECKING:
    from scaler.turn import Step

POLICY = Policy(APP, SPEC, PolicySettings(), LifeSettings())


@dataclass
class Seen:
    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event, taken: Step) -> None:
        del taken
        self.events.append(event)


def played(course: Course) -> list[Event]:
    seen = Seen()
    simulate(POLICY, course, seen)
    return seen.events


def test_ticks_come_once_a_second_and_time_never_goes_back() -> None:
    events = played(Course(steps((30.0, 60.0)), until_s=60.0))
    assert [float(second) for second in range(61)] == [
        event.now for event in events if isinstance(event, Tick) and event.sighting and not event.sighting.detail
    ]
    assert sorted(event.now for event in events) == [event.now for event in events]


def test_the_proxies_count_what_arrives() -> None:
    ticks = [event for event in played(Course(steps((30.0, 60.0)), until_s=60.0)) if isinstance(event, Tick)]
    [first], [last] = (tick.sighting.readings for tick in (ticks[0], ticks[-1]) if tick.sighting)
    assert (0, 1800) == (first.arrivals, last.arrivals)


def test_two_proxies_share_the_traffic() -> None:
    ticks = [event for event in played(Course(steps((30.0, 9.0)), until_s=9.0, proxies=2)) if isinstance(event, Tick)]
    sighting = ticks[-1].sighting
    assert sighting is not None
    assert {"proxy1": 135, "proxy2": 135} == {reading.id: reading.arrivals for reading in sighting.readings}


def test_what_nobody_can_carry_piles_up_held_and_then_in_flight() -> None:
    ticks = [event for event in played(Course(steps((30.0, 30.0)), until_s=12.0)) if isinstance(event, Tick)]
    loads = [(one.held, one.in_flight) for tick in ticks if tick.sighting for one in tick.sighting.readings]
    assert (300, 0) == loads[10]
    assert loads[-1][0] == 0
    assert loads[-1][1] > 250


def test_a_store_that_is_gone_blinds_the_ticks_and_ends_the_term() -> None:
    faults = Faults(store_gone=((20.0, 26.0),))
    events = played(Course(steps((1.0, 40.0)), until_s=40.0, faults=faults))
    assert [20.0 + number for number in range(6)] == [
        event.now for event in events if isinstance(event, Tick) and event.sighting is None
    ]
    assert [26.0] == [event.now for event in events if isinstance(event, Deposed)]
    assert [0.0, 26.0] == [event.now for event in events if isinstance(event, Elected)]


def test_a_publication_into_a_gone_store_fails() -> None:
    faults = Faults(store_gone=((9.5, 10.5),))
    events = played(Course(steps((1.0, 40.0)), until_s=12.0, faults=faults))
    assert [10.0, 10.1] == [round(event.now, 1) for event in events if isinstance(event, Unpublished)]


def test_a_killed_scaler_is_followed_by_another_once_its_lease_has_run_out() -> None:
    events = played(Course(steps((1.0, 40.0)), until_s=40.0, faults=Faults(killed=(20.5,))))
    assert [0.0, 24.0] == [event.now for event in events if isinstance(event, Elected)]
    assert [] == [event for event in events if 20.5 < event.now < 24.0]


def test_good_probes_are_told_once_for_each_pace_of_watching() -> None:
    probes = [event for event in played(Course(steps((1.0, 60.0)), until_s=60.0)) if isinstance(event, Probed)]
    assert [("refused", 0.4), ("ready", 10.0), ("ready", 10.1)] == [(one.outcome, round(one.now, 1)) for one in probes]


def test_a_crashed_one_refuses_and_its_census_has_an_exit_code() -> None:
    hosts = SimulatedHosts(Course(steps((1.0, 9.0)), until_s=9.0, boot_s=2.0, faults=Faults(crashes={"web1": 5.0})))
    hosts.start(Placement("web1", "local", SPEC), 0.0)
    answers = [hosts.answer("web1", at)[0] for at in (0.0, 2.0, 5.0)]
    assert ["refused", "ready", "refused"] == answers
    assert [True, False] == [hosts.census(at).found[0].running for at in (4.9, 5.0)]
    assert 1 == hosts.census(5.0).found[0].exit_code


def test_a_silent_host_answers_no_census() -> None:
    faults = Faults(host_silent=(("b", (12.0, 40.0)),))
    events = played(Course(steps((30.0, 40.0)), until_s=40.0, hosts=("a", "b"), faults=faults))
    answered = [sorted(event.census.answered) for event in events if isinstance(event, Counted)]
    assert ["a", "b"] == answered[0]
    assert ["a"] == answered[-1]


def test_traffic_shapes() -> None:
    shape = steps((5.0, 10.0), (7.0, 20.0))
    assert [5.0, 5.0, 7.0, 7.0] == [shape(at) for at in (0.0, 10.0, 10.1, 99.0)]
    bins = recorded([20.0, 40.0], 10.0)
    assert [2.0, 2.0, 4.0, 4.0] == [bins(at) for at in (0.0, 9.9, 10.0, 99.0)]
    assert [False, True, False] == [within(at, ((1.0, 2.0),)) for at in (0.9, 1.0, 2.0)]
