"""A world on a heap: traffic shapes, boot times and faults, without waiting; the rest is the production code."""

from __future__ import annotations

import heapq
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

from fleet.registry import LEASE_TTL_S, Memory, Snapshot, Summary
from scaler.course import within
from scaler.driver import drive
from scaler.messages import (
    Adopted,
    Closed,
    Count,
    Counted,
    Deposed,
    Elected,
    Event,
    Forget,
    Look,
    Ordered,
    Outcome,
    Probed,
    Publish,
    Published,
    Remember,
    Report,
    Resolve,
    Resolved,
    Start,
    Started,
    StartFailed,
    Stop,
    StopFailed,
    Stopped,
    Survey,
    Tick,
    Unpublished,
    Unresolved,
    Watch,
)
from scaler.simulated_hosts import SimulatedHosts, spec_of
from scaler.simulated_traffic import SimulatedTraffic
from scaler.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fleet.backend import Backend
    from fleet.release import Releases
    from scaler.course import Course
    from scaler.driver import Trace
    from scaler.messages import Effect, Placement
    from scaler.state import Policy


def simulate(policy: Policy, course: Course, trace: Trace) -> State:
    """Run a course to its end, with a new scaler after each that was killed; returns the last one's state."""
    world = Simulation(policy, course)
    state = drive(policy, State(), world, trace)
    while world.next_scaler():
        state = drive(policy, State(), world, trace)
    return state


class Simulation:
    """The world. `registry` and `summary` are what the store holds."""

    def __init__(self, policy: Policy, course: Course) -> None:
        self.policy = policy
        self.course = course
        self.now = 0.0
        self.registry: Mapping[str, Backend] = {}
        self.summary: Summary | None = None
        self.generation = 0
        self.serial = 0
        self.releases: Releases | None = None
        self.hosts = SimulatedHosts(course)
        self.traffic = SimulatedTraffic(course, self.hosts)
        self._heap: list[tuple[float, int, Callable[[], Event | None]]] = []
        self._sequence = 0
        self._token = 0
        self._renewed_at: float | None = None
        self._surveyed = False
        self._probes: dict[str, int] = {}
        self._told: dict[str, Outcome] = {}
        self._watched: dict[str, float] = {}
        self._orders = list(course.orders)
        self._wipes = list(course.faults.store_wiped)
        self._kills = list(course.faults.killed)
        self._begin(0.0)

    def next_scaler(self) -> bool:
        """After an end of the run: whether it was a kill, and another scaler begins."""
        if not self._kills or self._kills[0] > self.now:
            return False
        self._heap.clear()
        self._probes.clear()
        self._watched.clear()
        self._surveyed = False
        lease_ends = (self._renewed_at or self.now) + LEASE_TTL_S
        self._renewed_at = None
        self._kills.pop(0)
        self._begin(max(self.now, lease_ends))
        return True

    def _begin(self, at: float) -> None:
        self._at(at, self._tick)
        if self.course.close_at is not None and self.course.close_at >= at:
            closed = Closed(self.course.close_at)
            self._at(self.course.close_at, lambda: closed)

    def next_event(self) -> Event | None:
        """The earliest event; ticks are filled in with what the proxies say at that moment."""
        limit = min([self.course.until_s, *self._kills])
        while self._heap and self._heap[0][0] <= limit:
            at, _, happen = heapq.heappop(self._heap)
            self.now = max(self.now, at)
            event = happen()
            if event is not None:
                return event
        self.now = limit
        return None

    def perform(self, effect: Effect) -> None:
        """Do it in simulated time."""
        match effect:
            case Publish() | Report():
                self._write(effect)
            case Start() | Stop():
                self._act(effect)
            case Look() | Count() | Survey():
                self._ask(effect)
            case Watch():
                self._watch(effect)
            case Resolve():
                self._answer(self._resolved(effect))
            case Forget():
                self.traffic.forget(effect.proxy)
            case Remember():
                pass  # these proxies are not in the store, so it loses none

    def _at(self, at: float, happen: Callable[[], Event | None]) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (at, self._sequence, happen))

    def _soon(self, event: Event) -> None:
        self._at(self.now, lambda: event)

    def _gone(self) -> bool:
        return within(self.now, self.course.faults.store_gone)

    def _tick(self) -> Event:
        """The lease first, then the orders, then the counters, as in the live world."""
        if self._gone():
            self._at(self.now + self.policy.life.tick_s, self._tick)
            return Tick(self.now, None)
        if self._wipes and self._wipes[0] <= self.now:
            return self._wiped()
        if self._renewed_at is None:
            return self._elected(self.now)
        if self.now >= self._renewed_at + LEASE_TTL_S:
            self._renewed_at = None
            self._at(self.now, self._tick)
            return Deposed(self.now, "the lease ran out")
        self._renewed_at = self.now
        self._at(self.now + self.policy.life.tick_s, self._tick)
        return self._order() or self._sight(detail=False)

    def _wiped(self) -> Event:
        self._wipes.pop(0)
        self.registry, self.summary, self.generation, self.releases = {}, None, 0, None
        self.serial = self._token = 0
        self._renewed_at = None
        self._at(self.now, self._tick)
        return Deposed(self.now, "the lease is gone")

    def _elected(self, now: float) -> Event:
        """A store that remembers no token makes its holder wait, but for the very first of a simulated run."""
        settled = self._token > 0 or not self.now
        self._token += 1
        self._renewed_at = now
        self._surveyed = False
        self._at(now, self._tick)
        return Elected(now, self._token, now, now if settled else now + LEASE_TTL_S, LEASE_TTL_S)

    def _order(self) -> Event | None:
        if not self._surveyed or not self._orders or self._orders[0][0] > self.now:
            return None
        _, order = self._orders.pop(0)
        sighting = self._sight(detail=False)
        self._soon(sighting)
        return Ordered(self.now, order)

    def _sight(self, *, detail: bool) -> Event:
        sighting = self.traffic.look(self.registry, self.now, self.generation, detail=detail)
        return Tick(self.now, sighting, self._renewed_at)

    def _write(self, effect: Publish | Report) -> None:
        if self._gone():
            if isinstance(effect, Publish):
                self._soon(Unpublished(self.now, effect.version, "the store is gone"))
            return
        if isinstance(effect, Report):
            self.summary = effect.summary
            return
        self.registry, self.serial = effect.change.backends, effect.change.serial
        self.summary = effect.change.summary
        self.releases = effect.change.releases or self.releases
        self.generation += 1
        self.traffic.published(self.registry, self.now)
        self._soon(Published(self.now, effect.version, self.generation))

    def _act(self, effect: Start | Stop) -> None:
        if isinstance(effect, Stop):
            self._answer(self._stop(effect))
            return
        for placement in effect.placements:
            if placement.name not in self.course.faults.hung:
                self._answer(self._start(placement))

    def _answer(self, event: Event) -> None:
        self._at(event.now, lambda: event)

    def _start(self, placement: Placement) -> Event:
        at = self.now + self.course.start_s
        try:
            return Started(at, placement.name, self.hosts.start(placement, self.now), placement.host)
        except RuntimeError as error:
            return StartFailed(at, placement.name, str(error))

    def _resolved(self, effect: Resolve) -> Event:
        at = self.now + self.course.start_s
        if effect.image in self.course.faults.unknown_images:
            return Unresolved(at, effect.image, effect.order, f"image {effect.image} does not exist")
        return Resolved(at, effect.image, effect.order, effect.image, spec_of(effect.image, self.policy.spec))

    def _stop(self, effect: Stop) -> Event:
        at = self.now + self.course.start_s
        try:
            self.hosts.stop(effect.name, effect.host, self.now)
        except RuntimeError as error:
            return StopFailed(at, effect.name, str(error))
        return Stopped(at, effect.name)

    def _ask(self, effect: Look | Count | Survey) -> None:
        match effect:
            case Look():
                self._at(self.now, lambda: None if self._gone() else self._sight(detail=True))
            case Count():
                self._soon(Counted(self.now, self.hosts.census(self.now)))
            case Survey():
                self._survey(effect.token)

    def _survey(self, token: int) -> None:
        snapshot = Snapshot(self.generation, self.registry) if self.generation else None
        memory = Memory(snapshot, self.serial, releases=self.releases)
        if self.summary is not None:
            told = self.summary
            memory = replace(
                memory, paused=told.paused, manual=told.manual, desired=told.desired, last_order=told.last_order
            )
        census = self.hosts.census(self.now)
        ready = frozenset(
            item.name for item in census.found if self.hosts.answer(item.name, self.now)[0] is Outcome.READY
        )
        self._surveyed = True
        self._soon(Adopted(self.now, token, census, memory, ready))

    def _watch(self, effect: Watch) -> None:
        """Probe these; a probe that would tell nothing new is left out, however many there would be."""
        watched = {name: every_s for name, _, every_s in effect.targets}
        for name in self._watched.keys() - watched.keys():
            self._probes.pop(name, None)
        for name, every_s in watched.items():
            if self._watched.get(name) != every_s:
                self._told.pop(name, None)
                self._probe_at(self.now + self.policy.life.probe_warming_s, name, every_s)
        self._watched = watched

    def _probe_at(self, at: float, name: str, every_s: float) -> None:
        number = self._probes[name] = self._sequence

        def probe() -> Event | None:
            if self._probes.get(name) != number:
                return None
            return self._probe(name, every_s)

        self._at(at, probe)

    def _probe(self, name: str, every_s: float) -> Event | None:
        outcome, detail = self.hosts.answer(name, self.now)
        change = self.hosts.next_change(name, self.now)
        if outcome is Outcome.BAD or (outcome is Outcome.REFUSED and change is None):
            self._probe_at(self.now + every_s, name, every_s)
        elif change is not None:
            self._probe_at(self.now + max(1, ceil((change - self.now) / every_s)) * every_s, name, every_s)
        if self._told.get(name) is outcome is Outcome.READY:
            return None
        self._told[name] = outcome
        return Probed(self.now, name, outcome, detail)
