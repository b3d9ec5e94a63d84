"""Properties of the policy and of the machine over histories that nobody would think of.

    EXAMPLES=5000 python -m pytest tests/scaler/test_properties.py

looks longer than a normal run.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from fleet.backend import LEAVING, Phase
from fleet.meter import Load
from fleet.registry import Order, OrderKind
from fleet.settings import LifeSettings, PolicySettings
from scaler.course import Course, Faults, steps
from scaler.driver import drive
from scaler.messages import Start
from scaler.policy import Observation, recommend
from scaler.simulate import Simulation
from scaler.state import Policy, State
from tests.scaler.builders import APP, SPEC
from tests.scaler.chaos import MENU, Chaos
from tests.scaler.invariants import Watcher

if TYPE_CHECKING:
    from scaler.messages import Event
    from scaler.turn import Step

EXAMPLES = int(os.environ.get("EXAMPLES", "0"))


def examples(count: int) -> settings:
    """So many examples in a normal run: always the same, so that a failure is never chance."""
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=EXAMPLES or count, deadline=None, derandomize=not EXAMPLES, suppress_health_check=quiet
    )


RATES = st.floats(0.0, 5000.0, allow_nan=False)
COUNTS = st.integers(0, 60)


@st.composite
def sizes(draw: st.DrawFn) -> PolicySettings:
    """Any sound policy."""
    least = draw(st.integers(0, 5))
    down = draw(st.floats(0.5, 20.0))
    return PolicySettings(
        kind=draw(st.sampled_from(["target", "threshold"])),
        min=least,
        max=draw(st.integers(max(1, least), 40)),
        target_rps=draw(st.floats(0.5, 200.0)),
        target_in_flight=draw(st.none() | st.floats(0.5, 50.0)),
        tolerance=draw(st.floats(0.0, 0.5)),
        stabilisation_s=draw(st.sampled_from([0.0, 30.0, 120.0])),
        step_up_factor=draw(st.floats(1.0, 20.0)),
        step_up_add=draw(st.integers(1, 10)),
        step_down_factor=draw(st.floats(1.1, 8.0)),
        down_rps=down,
        up_rps=down * draw(st.floats(1.1, 4.0)),
    )


@st.composite
def loads(draw: st.DrawFn) -> Load:
    """Any load that the meter can give."""
    full = draw(st.booleans())
    return Load(
        stable_rps=draw(st.none() | RATES),
        panic_rps=draw(st.none() | RATES),
        stable_in_flight=draw(RATES),
        panic_in_flight=draw(RATES),
        in_flight=draw(COUNTS),
        held=draw(COUNTS),
        full=full,
        idle=full and draw(st.booleans()),
    )


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """Anything that the machine can show the policy."""
    return Observation(
        load=draw(st.none() | loads()),
        desired=draw(COUNTS),
        serving=draw(COUNTS),
        ordered=draw(COUNTS),
        draining=draw(st.integers(0, 3)),
        panicking=draw(st.booleans()),
        peak=draw(COUNTS),
        recent=draw(st.none() | COUNTS),
        keep=draw(st.sampled_from(["", "proxy p is missing"])),
    )


@examples(150)
@given(sizes(), observations())
def test_a_recommendation_is_within_the_bounds_and_has_reasons(policy: PolicySettings, seen: Observation) -> None:
    found = recommend(policy, seen)
    assert policy.min <= found.count <= policy.max
    assert found.reasons
    assert all(found.reasons)
    assert found == recommend(policy, seen)


@examples(150)
@given(sizes(), observations())
def test_nothing_goes_down_on_missing_data_a_short_window_or_while_it_is_forbidden(
    policy: PolicySettings, seen: Observation
) -> None:
    found = recommend(policy, seen)
    if seen.load is None or not seen.load.full or seen.keep or seen.draining:
        assert found.count >= min(seen.desired, policy.max)


@examples(150)
@given(sizes(), observations())
def test_every_limit_that_bit_is_named(policy: PolicySettings, seen: Observation) -> None:
    reasons = " ".join(recommend(policy, seen).reasons)
    found = recommend(policy.model_copy(update={"max": 10_000}), seen)
    if found.count > policy.max:
        assert "max:" in reasons
    found = recommend(policy.model_copy(update={"min": 0}), seen)
    if found.count < policy.min:
        assert "min:" in reasons


@examples(150)
@given(sizes(), observations(), st.floats(0.0, 1000.0))
def test_more_load_never_means_fewer(policy: PolicySettings, seen: Observation, more: float) -> None:
    if seen.load is None or seen.load.stable_rps is None or seen.load.panic_rps is None or policy.kind != "target":
        return
    heavier = replace(
        seen.load, stable_rps=seen.load.stable_rps + more, panic_rps=seen.load.panic_rps + more, idle=False
    )
    assert recommend(policy, replace(seen, load=heavier)).count >= recommend(policy, seen).count


def chaotic(policy: Policy, happenings: list[tuple[int, int, int]]) -> Chaos:
    chaos = Chaos(policy, Watcher(policy))
    chaos.term(0, 1)
    chaos.adopted(0, 0)
    for happening in happenings:
        chaos.play(*happening)
    return chaos


HISTORIES = st.lists(
    st.tuples(st.integers(0, len(MENU) - 1), st.integers(0, 999), st.integers(0, 999)), min_size=50, max_size=250
)
POLICIES = st.builds(
    lambda low, more, surge, kind, image: Policy(
        APP,
        SPEC,
        PolicySettings(
            kind=kind, min=low, max=max(1, low + more), stable_window_s=8.0, panic_window_s=2.0, stabilisation_s=8.0
        ),
        LifeSettings(surge=surge, start_timeout_s=20.0, drain_timeout_s=8.0, stop_timeout_s=15.0, backoff_max_s=8.0),
        image=image,
    ),
    st.integers(0, 3),
    st.integers(0, 6),
    st.integers(0, 2),
    st.sampled_from(["target", "threshold"]),
    st.sampled_from(["", "v1"]),
)


@examples(60)
@given(POLICIES, HISTORIES)
def test_no_history_breaks_what_must_hold_of_every_step(policy: Policy, history: list[tuple[int, int, int]]) -> None:
    chaotic(policy, history)


@examples(10)
@given(POLICIES, HISTORIES)
def test_any_state_survives_its_way_through_json(policy: Policy, history: list[tuple[int, int, int]]) -> None:
    state, adapter = chaotic(policy, history).state, TypeAdapter[State](State)
    assert state == adapter.validate_json(adapter.dump_json(state))


@st.composite
def courses(draw: st.DrawFn) -> Course:
    """Traffic and every kind of fault in the first 300 s; then peace."""
    names = st.frozensets(st.integers(1, 12).map(lambda number: f"{APP}{number}"), max_size=3)
    times = st.integers(1, 300).map(float)
    spans = st.tuples(times, st.integers(1, 80).map(float)).map(lambda span: (span[0], min(300.0, sum(span))))
    orders = draw(st.lists(st.tuples(times, st.sampled_from(list(OrderKind)), st.integers(0, 12)), max_size=3))
    parts = draw(st.lists(st.integers(0, 120).map(float), min_size=1, max_size=5))
    placed = [
        (at, Order(kind, size if kind is OrderKind.SCALE else None, f"{number}-1", f"proxy{size % 3}"))
        for number, (at, kind, size) in enumerate(sorted(orders, key=lambda order: order[0]), start=1)
    ]
    hosts = draw(st.sampled_from([("local",), ("a", "b")]))
    wiped = tuple(sorted(draw(st.lists(times, max_size=2))))
    killed = () if wiped else tuple(sorted(set(draw(st.lists(times, max_size=2)))))  # both: nobody knows the numbers
    silent = st.tuples(st.sampled_from(hosts), spans)
    return Course(
        rps=steps(*((rate, 60.0 * (number + 1)) for number, rate in enumerate(parts))),
        until_s=700.0,
        boot_s=float(draw(st.integers(1, 20))),
        answer_s=draw(st.sampled_from([0.05, 3.0])),
        carries_rps=30.0,
        proxies=draw(st.integers(1, 2)),
        hosts=hosts,
        orders=(
            *placed,
            (400.0, Order(OrderKind.AUTO, None, "900-1")),
            (401.0, Order(OrderKind.RESUME, None, "901-1")),
        ),
        faults=Faults(
            stuck=draw(names),
            unstartable=draw(names),
            hung=draw(names),
            unstoppable=draw(names),
            crashes=draw(st.dictionaries(st.integers(1, 8).map(lambda number: f"{APP}{number}"), times, max_size=3)),
            sick=draw(st.dictionaries(st.integers(1, 8).map(lambda number: f"{APP}{number}"), spans, max_size=2)),
            store_gone=tuple(draw(st.lists(spans, max_size=2))),
            store_wiped=wiped,
            proxy_silent=tuple(draw(st.lists(st.tuples(st.integers(0, 1), spans), max_size=2))),
            host_silent=tuple(draw(st.lists(silent, max_size=1))),
            killed=killed,
        ),
    )


@examples(25)
@given(courses())
def test_whatever_goes_wrong_the_fleet_converges_once_it_stops(course: Course) -> None:
    sizes, life = PolicySettings(max=12, stabilisation_s=30.0), LifeSettings(backoff_max_s=30.0)
    policy = Policy(APP, SPEC, sizes, life, image="v1")
    world, started = Simulation(policy, course), list[str]()

    def note(event: Event, taken: Step) -> None:
        del event
        started.extend(
            place.name for effect in taken.effects if isinstance(effect, Start) for place in effect.placements
        )

    state = drive(policy, State(), world, note)
    while world.next_scaler():
        state = drive(policy, State(), world, note)
    assert len(started) == len(set(started)), "a name was started twice"
    phases: list[Any] = [one.phase for one in state.instances.values()]
    assert [] == [phase for phase in phases if phase in LEAVING]
    assert [Phase.SERVING] * state.desired == phases
    assert set(state.instances) == {item.name for item in world.hosts.census(world.now).found}, "an orphan"
    assert set(state.instances) == set(world.registry)
