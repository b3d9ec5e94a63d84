"""What must hold of every single step, whatever happened before: assertions over (before, event, step)."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.backend import CAPACITY, DEFAULT_WEIGHT, LEAVING, MAX_WEIGHT, Backend, Phase
from scaler.machine import step
from scaler.messages import (
    Adopted,
    Closed,
    Counted,
    Deposed,
    Event,
    Forget,
    Ordered,
    Publish,
    Refused,
    Report,
    Start,
    Stop,
    Tick,
)
from scaler.state import Policy, State
from scaler.transitions import TRANSITIONS, deadline_s
from tests.scaler.builders import happenings

if TYPE_CHECKING:
    from scaler.turn import Step

_lately = deque[tuple[Mapping[str, object], Mapping[str, Phase]]](maxlen=2)
ROWS = {(before, after) for (before, _), after in TRANSITIONS.items()}


def acting(state: State, now: float) -> bool:
    term = state.term
    return state.adopted and term is not None and term.act_from <= now < term.act_until


def phases(state: State) -> Mapping[str, Phase]:
    """Kept for the last two states, because every rule asks for those before and after the step."""
    for instances, kept in _lately:
        if instances is state.instances:
            return kept
    found = {name: instance.phase for name, instance in state.instances.items()}
    _lately.append((state.instances, found))
    return found


def count(state: State, *wanted: Phase) -> int:
    return sum(phase in wanted for phase in phases(state).values())


@dataclass
class Watcher:
    """Checks every step; remembers what was published and which names were started."""

    policy: Policy
    accepted: Mapping[str, Backend] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)

    def check(self, before: State, event: Event, taken: Step) -> None:
        """All of it, for one step. `accepted` is what the store had taken before it."""
        self._pure(before, event, taken)
        self._effects(event, taken)
        self._acts(event, taken)
        self._moves(before, event, taken)
        self._drains(before, event, taken)
        self._limits(before, event, taken)
        self._rollout(before, event, taken)
        self._told(before, event, taken)
        self._state_named(event, taken)
        self._canary(before, event, taken)

    def _pure(self, before: State, event: Event, taken: Step) -> None:
        kept = copy.deepcopy(before)
        assert taken == step(self.policy, before, event)
        assert kept == before

    def _effects(self, event: Event, taken: Step) -> None:
        kinds = [type(effect) for effect in taken.effects]
        assert not (Publish in kinds and (Start in kinds or Stop in kinds)), "a step that publishes acts"
        assert kinds.count(Publish) + kinds.count(Report) <= 1
        if not acting(taken.state, event.now):
            assert not {Publish, Report, Start, Stop} & set(kinds), "acts or writes outside its term"
        state = taken.state
        assert state.published <= state.version
        if state.publishing is not None:
            assert state.published < state.publishing <= state.version
        for effect in taken.effects:
            if isinstance(effect, Publish):
                assert phases(state) == {name: backend.phase for name, backend in effect.change.backends.items()}
                assert state.serial == effect.change.serial

    def _acts(self, event: Event, taken: Step) -> None:
        for effect in taken.effects:
            if isinstance(effect, Stop):
                assert self.accepted[effect.name].phase in {Phase.STOPPING, Phase.FAILED}
            if isinstance(effect, Start):
                for place in effect.placements:
                    assert self.accepted[place.name].phase is Phase.STARTING
                    assert place.name not in self.started, "a name was started twice"
                    self.started.add(place.name)
        del event

    def _moves(self, before: State, event: Event, taken: Step) -> None:
        was, now = phases(before), phases(taken.state)
        assert before.serial <= taken.state.serial
        for name, instance in taken.state.instances.items():
            number = int(name.removeprefix(self.policy.app))
            assert number <= taken.state.serial
            limit = deadline_s(self.policy.life, instance.phase, self.policy.pull_s)
            assert instance.deadline == (None if limit is None else instance.since + limit)
            assert (instance.generation is None) == (instance.version > taken.state.published)
        if isinstance(event, Adopted):
            left = {name for name, backend in self.accepted.items() if backend.phase in LEAVING}
            assert not any(now.get(name) in CAPACITY for name in left), "a leaving one came back"
            return
        for name in was.keys() & now.keys():
            assert was[name] is now[name] or (was[name], now[name]) in ROWS
        for name in now.keys() - was.keys():
            if isinstance(event, Counted) and now[name] is Phase.DRAINING:
                continue
            if isinstance(event, Counted) and before.unheard and now[name] is Phase.WARMING:
                continue  # found on a host that was silent when the registry was empty
            assert now[name] in {Phase.STARTING, Phase.STOPPING}
            assert now[name] is Phase.STOPPING or int(name.removeprefix(self.policy.app)) > before.serial
        assert all(was[name] in {Phase.STOPPING, Phase.FAILED} for name in was.keys() - now.keys())

    def _drains(self, before: State, event: Event, taken: Step) -> None:
        if isinstance(event, Adopted):
            return
        was, now = phases(before), phases(taken.state)
        released = [name for name in now if (was.get(name), now[name]) == (Phase.SERVING, Phase.DRAINING)]
        silent = isinstance(event, Tick) and bool(missing(event, taken))
        tried = canary_spec(before)
        chosen = [name for name in released if before.instances[name].spec != tried]
        if chosen and not taken.state.closing:
            assert count(taken.state, Phase.SERVING) >= self.policy.sizes.min
            assert not silent, "a drain was chosen while a proxy is missing"
        for name, phase in now.items():
            if (was.get(name), phase) != (Phase.DRAINING, Phase.STOPPING):
                continue
            instance = before.instances[name]
            if isinstance(event, Tick) and (instance.deadline or 0.0) > event.now:
                assert event.sighting is not None
                assert not silent
                for reading in event.sighting.readings:
                    assert instance.generation is not None
                    assert instance.generation <= reading.generation
                    assert not reading.leaving.get(name)

    def _limits(self, before: State, event: Event, taken: Step) -> None:
        sizes, state = self.policy.sizes, taken.state
        ordered = [name for name in state.instances if name not in before.instances and not isinstance(event, Adopted)]
        if any(state.instances[name].phase is Phase.STARTING for name in ordered):
            assert count(state, *CAPACITY) <= sizes.max + self.policy.life.surge
            assert not state.closing
        if not acting(state, event.now) or state.closing or not event_decides(event):
            return
        assert sizes.min <= state.desired <= sizes.max
        down = state.desired < min(before.desired, sizes.max)
        if down and state.manual is None and not isinstance(event, Ordered | Adopted | Closed):
            assert isinstance(event, Tick)
            assert state.load is not None, "down on missing data"
            assert state.load.full, "down without a full window"
            assert event.sighting is not None
            assert not missing(event, taken), "down while a proxy is missing"
            assert not state.paused

    def _rollout(self, before: State, event: Event, taken: Step) -> None:
        """What is on trial is one; until it is proven nothing goes for it, and then one goes for one."""
        state = taken.state
        for effect in taken.effects:
            if isinstance(effect, Publish):
                assert effect.change.releases == state.releases
        if state.releases is None or before.releases is None or isinstance(event, Adopted):
            return
        under_way = state.releases.rollout
        assert under_way is None or under_way.back or state.releases.asked is None
        serving = [one for one in state.instances.values() if one.phase is Phase.SERVING]
        was = before.instances
        released = [
            one
            for one in state.instances.values()
            if one.phase is Phase.DRAINING and one.name in was and was[one.name].phase is Phase.SERVING
        ]
        tried = canary_spec(before)  # what is cut off goes at once, whatever else is still on its way
        if [one for one in released if one.spec != tried] and not state.closing:
            assert len(serving) >= state.desired, "a rollout left fewer serving than desired"
        rollout = state.releases.rollout
        if rollout is not None and not rollout.proven:
            assert state.releases.current == rollout.former
            assert not [one for one in released if one.spec == rollout.release.spec], "what is on trial was drained"
            ordered = [name for name, one in state.instances.items() if name not in was and one.phase is Phase.STARTING]
            trials = [one for one in state.instances.values() if one.spec == rollout.release.spec]
            if any(state.instances[name].spec == rollout.release.spec for name in ordered):
                assert 1 == sum(one.phase in CAPACITY for one in trials)

    def _told(self, before: State, event: Event, taken: Step) -> None:
        if isinstance(event, Adopted):
            return
        told = [*happenings(taken), *taken.state.untold]
        moves = [one for one in told if one.kind == "instance" and all(one.reasons)]
        left, entered = {(one.subject, one.before) for one in moves}, {(one.subject, one.after) for one in moves}
        was, now = phases(before), phases(taken.state)
        for name in was.keys() | now.keys():
            first, then = was.get(name, ""), now.get(name, Phase.GONE)
            if first != then:
                assert (name, first) in left, f"{name} became {then} without a word"
                assert (name, then) in entered, f"{name} became {then} without a word"
        if before.desired != taken.state.desired:
            assert any(one.kind == "decision" and one.reasons for one in told)
        if isinstance(event, Deposed | Refused):
            assert before.instances == taken.state.instances

    def _canary(self, before: State, event: Event, taken: Step) -> None:
        was, tried, state = canary_spec(before), canary_spec(taken.state), taken.state
        for effect in taken.effects:
            if isinstance(effect, Publish):
                backends = effect.change.backends.values()
                assert all(one.canary is (one.spec == tried) for one in backends)
                assert all(0 <= one.weight <= MAX_WEIGHT for one in backends)
        if isinstance(event, Adopted):
            return
        if was is not None and tried is None:
            left = [one for one in state.instances.values() if one.spec == was and one.phase in CAPACITY]
            assert state.releases is not None
            assert not left or state.releases.current.spec == was, "a canary that was cut goes on"
            told = [*happenings(taken), *state.untold]
            assert any(one.kind == "canary" and one.after in {"cut", "promoted"} and one.reasons for one in told)
        if tried is None:
            assert {DEFAULT_WEIGHT} >= {one.weight for one in state.instances.values() if one.phase is Phase.SERVING}

    def _state_named(self, event: Event, taken: Step) -> None:
        state = taken.state
        if not acting(state, event.now):
            return
        minimum = 0 if state.closing else self.policy.sizes.min
        serving = [one for one in state.instances.values() if one.phase is Phase.SERVING]
        live = [proxy.generation for proxy in state.proxies.values() if proxy.silent_since is None]
        moving = count(state, Phase.STARTING, Phase.WARMING, *LEAVING)
        if moving or len(serving) < max(minimum, state.desired):
            expected = "BUSY"
        elif any(one.generation is None or one.generation > seen for one in serving for seen in live):
            expected = "READY"
        else:
            expected = "IDLE" if len(serving) <= minimum else "UP"
        assert expected == state.fleet_state


def canary_spec(state: State) -> str | None:
    """The spec of the canary, where there is one."""
    canary = state.releases.canary if state.releases else None
    return canary.release.spec if canary else None


def missing(event: Tick, taken: Step) -> set[str]:
    """The silent proxies but those that are forgotten in this very step."""
    silent = event.sighting.silent if event.sighting else ()
    return set(silent) - {effect.proxy for effect in taken.effects if isinstance(effect, Forget)}


def event_decides(event: Event) -> bool:
    """Whether the machine may decide a count at this event; single looks and answers leave it as it was."""
    return isinstance(event, Ordered | Adopted) or (
        isinstance(event, Tick) and not (event.sighting and event.sighting.detail)
    )
