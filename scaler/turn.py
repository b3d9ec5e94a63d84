"""One step under way: a working copy of the state, and the effects, notes and happenings that it gives rise to."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from fleet.backend import CAPACITY, ORDERED, Phase
from fleet.registry import Change, Happening, Summary
from fleet.release import Releases
from scaler.canary import standing
from scaler.messages import Effect, Look, Publish, Report, Watch
from scaler.schedule import Minimum, minimum_at
from scaler.state import FleetState, Instance, Policy, State
from scaler.transitions import TRANSITIONS, Signal, deadline_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UNTOLD_LIMIT = 1000

_assign = object.__setattr__  # of a working copy, which is frozen for all others
_values = attrgetter(*(item.name for item in fields(State)))


@dataclass(frozen=True, slots=True)
class Step:
    """What a step leads to: the next state, what to do in this order, and notes on what was passed over."""

    state: State
    effects: tuple[Effect, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many instances are in which part of their life; `doubtful` ones serve, but missed a probe."""

    ordered: int
    serving: int
    draining: int
    leaving: int
    doubtful: int

    @property
    def capacity(self) -> int:
        """What counts against max: starting, warming and serving."""
        return self.ordered + self.serving


def count(instances: Iterable[Instance]) -> Tally:
    """How many of these are in which part of their life."""
    ordered = serving = draining = leaving = doubtful = 0
    for instance in instances:
        if instance.phase is Phase.SERVING:
            serving += 1
            doubtful += instance.misses > 0
        elif instance.phase in ORDERED:
            ordered += 1
        else:
            leaving += 1
            draining += instance.phase is Phase.DRAINING
    return Tally(ordered, serving, draining, leaving, doubtful)


class Turn:
    """The working copy. Handlers change it; `finish` freezes it and says what follows."""

    __slots__ = ("_copied", "_tally", "effects", "happenings", "look", "moved", "notes", "now", "policy", "state")

    def __init__(self, policy: Policy, state: State, now: float) -> None:
        self.policy = policy
        self.state = State(*_values(state))  # a copy of our own until `finish` hands it out, so it may change in place
        self.now = now
        self.effects: list[Effect] = []
        self.notes: list[str] = []
        self.happenings: list[Happening] = []
        self.moved: list[str] = []
        self.look = False  # whether the counters by backend are needed
        self._copied: dict[str, Instance] | None = None
        self._tally: Tally | None = None

    @property
    def acting(self) -> bool:
        """Whether this scaler may decide and act now."""
        term = self.state.term
        return self.state.adopted and term is not None and term.act_from <= self.now < term.act_until

    @property
    def instances(self) -> Mapping[str, Instance]:
        """The instances as this step has left them so far."""
        return self.state.instances

    @property
    def tally(self) -> Tally:
        """The instances, counted."""
        if self._tally is None:
            self._tally = count(self.state.instances.values())
        return self._tally

    @property
    def releases(self) -> Releases:
        """What new instances are started with; before the first term that is what is configured."""
        return self.state.releases or Releases(self.policy.configured, configured=self.policy.configured)

    @property
    def minimum(self) -> Minimum:
        """The fewest that may serve now, by settings and schedules."""
        known = self.state.minimum
        if known is None or not known.holds(self.now):
            known = minimum_at(self.policy.sizes, self.now)
            self.set(minimum=known)
        return known

    def set(self, **values: Any) -> None:  # noqa: ANN401  # the names and types are those of State
        """Replace fields of the working copy."""
        state = self.state
        for name, value in values.items():
            _assign(state, name, value)

    def put(self, instance: Instance) -> None:
        """Add or replace an instance, without a new publication."""
        if self._copied is None:
            self._copied = dict(self.state.instances)
            self.set(instances=self._copied)
        self._copied[instance.name] = instance
        self._tally = None

    def enter(self, instance: Instance, phase: Phase, reason: str = "", **values: Any) -> None:  # noqa: ANN401
        """Put the instance into a phase: its deadline begins, and the next publication shows it.

        Without a reason nothing is told: it only goes on as it was.
        """
        before = self.instances[instance.name].phase if instance.name in self.instances else ""
        limit = deadline_s(self.policy.life, phase, self.policy.pull_s)
        self.put(
            replace(
                instance,
                phase=phase,
                since=self.now,
                deadline=None if limit is None else self.now + limit,
                version=self.state.version + 1,
                generation=None,
                acted=False,
                **{"listed_since": None, **values},
            )
        )
        self.moved.append(f"{instance.name} {phase}")
        if reason:
            self.tell("instance", instance.name, before, phase, reason)

    def move(self, name: str, signal: Signal, reason: str, **values: Any) -> bool:  # noqa: ANN401
        """Take the table's row for this signal; without a row, note a late answer and change nothing."""
        instance = self.instances.get(name)
        if instance is None:
            self.notes.append(f"late: {signal} for {name}, which is not known")
            return False
        phase = TRANSITIONS.get((instance.phase, signal))
        if phase is None:
            self.notes.append(f"late: {signal} for {name}, which is {instance.phase}")
            return False
        self.enter(instance, phase, reason, **values)
        return True

    def drop(self, name: str) -> None:
        """Take the instance out of the registry with the next publication."""
        self.put(self.instances[name])
        if self._copied is not None:
            del self._copied[name]

    def tell(self, kind: str, subject: str, before: str, after: str, *reasons: str) -> None:
        """Add a line to the fleet's history."""
        self.happenings.append(Happening(self.now, kind, subject, before, after, tuple(reasons)))

    def alarm(self, key: str, *, on: bool, text: str) -> None:
        """Tell a standing fault once when it begins, and once when it is over."""
        if on and key not in self.state.alarms:
            self.tell("fault", key, "", "begins", text)
            self.set(alarms=self.state.alarms | {key})
        elif not on and key in self.state.alarms:
            self.tell("fault", key, "begins", "over")
            self.set(alarms=self.state.alarms - {key})

    def finish(self, *, report: bool, publish: bool) -> Step:
        """Freeze the step. What changed is published, if it may be now; else `report` or news refresh the summary."""
        if self.moved:
            self.set(version=self.state.version + 1)
            if self.state.term is not None:  # whoever does not act probes nobody, late answers or not
                self._watch()
        if self.acting:
            if self.look:
                self.effects.append(Look(outcomes=self.releases.canary is not None))
            self._name_the_state()
            self._write(report=report, publish=publish)
        elif self.happenings:
            self.set(untold=(*self.state.untold, *self.happenings)[-UNTOLD_LIMIT:])
        return Step(self.state, tuple(self.effects), tuple(self.notes))

    def _write(self, *, report: bool, publish: bool) -> None:
        state = self.state
        told = (*state.untold, *self.happenings)
        if state.untold:
            self.set(untold=())
        due = publish and state.version > state.published and state.publishing is None
        if due and state.term is not None:
            token, canary = state.term.token, self.releases.canary
            backends = {name: instance.backend(token, canary) for name, instance in state.instances.items()}
            known = max(state.generation, state.applied)
            change = Change(backends, state.serial, self._summary(), told, state.releases, known)
            self.effects.append(Publish(state.version, change))
            self.set(publishing=state.version)
        elif report or told:
            self.effects.append(Report(self._summary(), told))

    def _watch(self) -> None:
        """Have the warming and serving ones probed, the suspicious and those on trial as often as the warming."""
        life = self.policy.life
        rollout = self.releases.rollout
        trial = rollout.release.spec if rollout and not rollout.proven else None
        targets = tuple(
            (
                instance.name,
                instance.url,
                life.probe_warming_s
                if instance.phase is Phase.WARMING or instance.refused or instance.spec == trial
                else life.probe_serving_s,
            )
            for instance in self.instances.values()
            if instance.url is not None and instance.phase in CAPACITY
        )
        if targets != self.state.watched:
            self.set(watched=targets)
            self.effects.append(Watch(targets))

    def watch_again(self) -> None:
        """Recompute how often each instance is probed, after a probe changed what is suspected."""
        self._watch()

    def _name_the_state(self) -> None:
        before, after = self.state.fleet_state, self._fleet_state()
        if before is not after:
            self.tell("state", self.policy.app, before, after, *(self.moved or [self._why(after)]))
            self.set(fleet_state=after)

    def _why(self, after: FleetState) -> str:
        """The reason of a state that came about though no instance moved."""
        match after:
            case FleetState.BUSY:
                return f"{self.tally.serving} serving, {self.state.desired} desired"
            case FleetState.READY:
                return "a proxy has not applied it yet"
            case FleetState.IDLE | FleetState.UP:
                return "applied by every proxy"

    def _fleet_state(self) -> FleetState:
        state, tally = self.state, self.tally
        minimum = 0 if state.closing else self.minimum.count
        if tally.ordered or tally.leaving or tally.serving < max(state.desired, minimum):
            return FleetState.BUSY
        # Where all is published and every proxy has applied the last, no instance needs a look of its own.
        oldest = self._oldest()
        seen = state.version == state.published and oldest is not None and oldest >= state.generation
        if not seen and not self.applied(one for one in state.instances.values() if one.phase is Phase.SERVING):
            return FleetState.READY
        return FleetState.IDLE if tally.serving <= minimum else FleetState.UP

    def applied(self, instances: Iterable[Instance]) -> bool:
        """Whether every live proxy has applied the generations that published these phases."""
        oldest = self._oldest()
        return oldest is None or all(one.generation is not None and one.generation <= oldest for one in instances)

    def _oldest(self) -> int | None:
        """The generation that every live proxy has applied; None without one."""
        live = [proxy.generation for proxy in self.state.proxies.values() if proxy.silent_since is None]
        return min(live, default=None)

    def _summary(self) -> Summary:
        state = self.state
        load = state.load
        return Summary(
            state=state.fleet_state,
            desired=state.desired,
            rps=load.stable_rps if load else None,
            in_flight=load.in_flight if load else None,
            held=load.held if load else None,
            reasons=state.reasons,
            paused=state.paused,
            manual=state.manual,
            last_order=state.last_order,
            canary=standing(self),
            minimum=0 if state.closing else self.minimum.count,
            schedule="" if state.closing else self.minimum.schedule,
        )
