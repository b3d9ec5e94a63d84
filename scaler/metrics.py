"""What the scaler tells Prometheus: counted from its steps as they are taken, or read from the state when asked."""

from __future__ import annotations

from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from fleet.backend import Phase
from fleet.exporter import Health
from scaler.canary_metrics import Endings, collect_canary
from scaler.messages import Publish, Published, Report, Tick
from scaler.state import FleetState, State
from scaler.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import Metric

    from fleet.registry import Happening
    from fleet.settings import PolicySettings
    from scaler.driver import Trace, World
    from scaler.messages import Effect, Event
    from scaler.schedule import Minimum
    from scaler.state import Policy
    from scaler.turn import Step

START_S = (0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)
DRAIN_S = (0.25, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300)
TICK_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
# Every alarm that the machine knows: one that is not on is 0, not absent.
ALARMS = (
    *("at-max", "census", "host-silent", "no-data", "no-host", "not-pinned"),
    *("proxy-counters", "proxy-missing", "widespread-failure"),
)
# Ready: a tick in so many ticks' time, or in 3 s where ticks are short. Alive: a turn of the loop in so many seconds.
READY_TICKS, READY_S, ALIVE_S = 3.0, 6.0, 30.0  # a waiting scaler looks every 2 s


class Metrics:
    """A Source; also the Trace and the World that the loop is given, in front of the real ones.

    The loop's thread writes, any thread reads: what is read is a frozen state or a single number.
    """

    def __init__(self, policy: Policy, now: Callable[[], float], world: World, trace: Trace) -> None:
        self._policy = policy
        self._now = now
        self._world = world
        self._trace = trace
        self._state = State()
        self._turned_s = monotonic()
        self._tick_at: float | None = None
        self._ticking_since: float | None = None
        self._reachable = False
        self._publications = 0
        self._decisions = Counter({"up": 0, "down": 0})
        self._transitions = Counter[tuple[str, str]]()
        self._faults = Counter[str]()
        self._endings = Endings()
        self._starts_failed = 0
        self._starts = _histogram("stoker_instance_start_duration_seconds", "From ordered to serving.", START_S)
        self._drains = _histogram("stoker_instance_drain_duration_seconds", "From draining to stopping.", DRAIN_S)
        self._ticks = _histogram(
            "stoker_scaler_tick_duration_seconds", "One tick: counters read, decided, effects begun.", TICK_S
        )

    def next_event(self) -> Event | None:
        """As the world; a tick is over when the loop asks for what comes next."""
        now = self._now()
        self._turned_s = monotonic()
        if self._ticking_since is not None:
            self._ticks.observe(now - self._ticking_since)
            self._ticking_since = None
        event = self._world.next_event()
        if isinstance(event, Tick):
            self._ticking_since = self._tick_at = event.now
            self._reachable = event.sighting is not None
        return event

    def perform(self, effect: Effect) -> None:
        """As the world."""
        self._world.perform(effect)

    def __call__(self, event: Event, taken: Step) -> None:
        """As the trace; what the step tells is counted."""
        self._trace(event, taken)
        before, self._state = self._state, taken.state
        if isinstance(event, Published):
            self._publications += 1
        for effect in taken.effects:
            match effect:
                case Publish():
                    self._count(before, effect.change.happenings)
                case Report():
                    self._count(before, effect.happenings)
                case _:
                    pass

    def health(self) -> Health:
        """Whether the loop turns."""
        silent_s = monotonic() - self._turned_s
        if silent_s > ALIVE_S + self._policy.life.tick_s:
            return Health(good=False, why=f"the loop has not turned for {silent_s:.0f} s")
        return Health(good=True, why="the loop turns")

    def readiness(self) -> Health:
        """Whether it sees the fleet; a scaler that waits behind another is as ready as one that acts."""
        limit_s = max(READY_TICKS * self._policy.life.tick_s, READY_S)
        age_s = None if self._tick_at is None else self._now() - self._tick_at
        if age_s is None:
            return Health(good=False, why="not ready: no tick yet")
        if age_s > limit_s:
            return Health(good=False, why=f"not ready: the last tick was {age_s:.1f} s ago")
        if not self._reachable:
            return Health(good=False, why="not ready: the store cannot be reached")
        return Health(good=True, why="ready: acts" if self._acting(self._state) else "ready: waits for the lease")

    def collect(self) -> Iterator[Metric]:
        """What the fleet is, only where this scaler acts: of two that are scraped one tells."""
        state = self._state
        yield _gauge("stoker_scaler_acting", "1 where this scaler decides and acts.", self._acting(state))
        yield _gauge("stoker_scaler_lease_held", "1 where this scaler holds the lease.", state.term is not None)
        yield _gauge("stoker_store_reachable", "1 where the store answered last time.", self._reachable)
        if self._tick_at is not None:
            yield _gauge("stoker_scaler_last_tick_timestamp_seconds", "When the last tick began.", self._tick_at)
        yield from self._counters()
        for histogram in (self._starts, self._drains, self._ticks):
            yield from histogram.collect()
        if self._acting(state):
            turn = Turn(self._policy, state, self._now())  # a copy, to be asked; nothing comes of it
            yield from _limits(self._policy.sizes, turn.minimum)
            yield from _fleet(state)
            yield from collect_canary(turn)

    def _acting(self, state: State) -> bool:
        term = state.term
        return state.adopted and term is not None and term.act_from <= self._now() < term.act_until

    def _counters(self) -> Iterator[Metric]:
        decisions = CounterMetricFamily("stoker_decisions", "Changes of desired.", labels=("direction",))
        for direction, count in self._decisions.items():
            decisions.add_metric((direction,), count)
        transitions = CounterMetricFamily(
            "stoker_instance_transitions", "Changes of an instance's phase.", labels=("from", "to")
        )
        for pair, count in list(self._transitions.items()):
            transitions.add_metric(pair, count)
        faults = CounterMetricFamily("stoker_faults", "Faults as events tell them, by kind.", labels=("fault",))
        for fault, count in list(self._faults.items()):
            faults.add_metric((fault,), count)
        yield from (decisions, transitions, faults)
        yield CounterMetricFamily(
            "stoker_instance_starts_failed", "Instances that did not start or never got ready.", self._starts_failed
        )
        yield CounterMetricFamily("stoker_publications", "Generations published.", self._publications)
        yield from self._endings.collect()

    def _count(self, before: State, happenings: Iterable[Happening]) -> None:
        for one in happenings:
            self._endings.hear(one)
            if one.kind == "decision" and one.before.isdecimal() and one.after.isdecimal():
                self._decisions["up" if int(one.after) > int(one.before) else "down"] += 1
            elif one.kind == "instance":
                self._moved(before, one)
            elif one.kind == "fault" and one.after != "over":
                # A subject may be an instance's name; of what stands there for a while it is the alarm's.
                self._faults[one.subject if one.after == "begins" else one.after.replace(" ", "-")] += 1

    def _moved(self, before: State, one: Happening) -> None:
        self._transitions[(one.before or "none", one.after)] += 1
        self._starts_failed += one.after == Phase.FAILED
        instance = before.instances.get(one.subject)
        if instance is None:
            return
        # Adopted ones are not known to have been born.
        if one.after == Phase.SERVING and instance.born:
            self._starts.observe(max(0.0, one.at - instance.born))
        elif one.after == Phase.STOPPING and instance.phase is Phase.DRAINING:
            self._drains.observe(max(0.0, one.at - instance.since))


def _fleet(state: State) -> Iterator[Metric]:
    instances = GaugeMetricFamily("stoker_instances", "Instances by phase and definition.", labels=("phase", "spec"))
    there = Counter((str(one.phase), one.spec) for one in state.instances.values())
    for pair, count in there.items():
        instances.add_metric(pair, count)
    yield instances
    serving = sum(count for (phase, _), count in there.items() if phase == Phase.SERVING)
    yield _gauge("stoker_instances_serving", "How many serve.", serving)
    yield _gauge("stoker_instances_desired", "How many should serve.", state.desired)
    yield _gauge("stoker_generation", "The last generation published.", state.generation)
    yield _gauge("stoker_paused", "1 while desired is frozen by order.", state.paused)
    yield _gauge("stoker_start_failures_in_a_row", "They delay the next start.", state.start_failures)
    named = GaugeMetricFamily("stoker_fleet_state", "1 for the state that holds.", labels=("state",))
    for name in FleetState:
        named.add_metric((name.lower(),), state.fleet_state is name)
    alarms = GaugeMetricFamily("stoker_alarm", "1 while it stands.", labels=("alarm",))
    for alarm in sorted({*ALARMS, *state.alarms}):
        alarms.add_metric((alarm,), alarm in state.alarms)
    proxies = GaugeMetricFamily("stoker_proxies", "Proxies that have not left cleanly.", labels=("state",))
    missing = sum(proxy.silent_since is not None for proxy in state.proxies.values())
    proxies.add_metric(("reporting",), len(state.proxies) - missing)
    proxies.add_metric(("missing",), missing)
    yield from (named, alarms, proxies, *_load(state))


def _load(state: State) -> Iterator[Metric]:
    """Nothing where there is no data: that is not zero."""
    load = state.load
    if load is None:
        return
    rates = GaugeMetricFamily(
        "stoker_load_requests_per_second", "Arrivals, as a mean over a window.", labels=("window",)
    )
    for window, rate in (("stable", load.stable_rps), ("panic", load.panic_rps)):
        if rate is not None:
            rates.add_metric((window,), rate)
    yield rates
    yield _gauge("stoker_load_in_flight_requests", "Under way on all proxies.", load.in_flight)
    yield _gauge("stoker_load_held_requests", "Waiting for an instance on all proxies.", load.held)


def _limits(sizes: PolicySettings, minimum: Minimum) -> Iterator[Metric]:
    yield _gauge("stoker_instances_min", "The minimum in force now, by settings and schedules.", minimum.count)
    yield _gauge("stoker_instances_min_configured", "policy.min.", sizes.min)
    yield _gauge("stoker_instances_max", "policy.max.", sizes.max)
    if sizes.schedules:
        schedules = GaugeMetricFamily(
            "stoker_schedule_in_force", "1 for the schedule that gives the minimum now.", labels=("schedule",)
        )
        for name in dict.fromkeys(schedule.name for schedule in sizes.schedules):
            schedules.add_metric((name,), name == minimum.schedule)
        yield schedules
    if sizes.target_rps is not None:
        yield _gauge("stoker_target_requests_per_second", "policy.target_rps, of one instance.", sizes.target_rps)
    if sizes.target_in_flight is not None:
        yield _gauge("stoker_target_in_flight_requests", "policy.target_in_flight, of one.", sizes.target_in_flight)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, float(value))


def _histogram(name: str, words: str, buckets: tuple[float, ...]) -> Histogram:
    return Histogram(name, words, registry=None, buckets=buckets)
