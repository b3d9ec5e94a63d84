"""Every step of every scaler, held against the rules of the machine and against the truth of the world."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from fleet.backend import Phase
from fleet.registry import LEASE_TTL_S
from scaler.messages import Adopted, Publish, Report, Start, Stop, Tick
from tests.scaler.invariants import Watcher, acting, canary_spec

if TYPE_CHECKING:
    from scaler.messages import Event
    from scaler.state import Policy, State
    from scaler.turn import Step
    from tests.chaos.simulated.model import Model
    from tests.chaos.simulated.scaler_process import ScalerProcess

QUIET_SLACK_S = 2.0
# For so long a scaler may have seen nothing; what came meanwhile is spread over all of it.
LONGEST_HOLE_S = 150.0


class StepWatcher:
    """One for each life of a scaler."""

    def __init__(self, policy: Policy, model: Model, most_rps: MostRps) -> None:
        self._policy = policy
        self._model = model
        self._most_rps = most_rps
        self._rules = Watcher(policy)
        self._steps = 0

    def __call__(self, process: ScalerProcess, before: State, event: Event, taken: Step) -> None:
        """Check one step; where nothing moved, nothing was decided and nothing is done, little can be wrong."""
        model, after = self._model, taken.state
        model.checked["steps"] += 1
        if after.term is None and after.watched:
            raise model.broken("the machine's rules", f"{process.name} probes without a term")
        effects = taken.effects
        if (
            after.instances is before.instances
            and after.desired == before.desired
            and (not effects or (len(effects) == 1 and isinstance(effects[0], Report)))
        ):
            if effects and not acting(after, event.now):
                raise model.broken("one acts", f"{process.name} writes outside its term")
        else:
            try:
                self._all(before, event, taken)
            except AssertionError as error:
                raise model.broken("the machine's rules", f"{process.name}, {type(event).__name__}: {error}") from error
            self._choice(process, before, event, taken)
        if isinstance(event, Tick) and event.sighting and after.load is not None and after.load.stable_rps:
            self._rate(process, after.load.stable_rps)

    def _all(self, before: State, event: Event, taken: Step) -> None:
        rules, model = self._rules, self._model
        # Of a scaler that lost its lease unawares the store takes nothing: it cannot know what another published since.
        term, holder = taken.state.term, model.holder
        holds = term is not None and holder is not None and term.token == holder.token
        rules.accepted = model.registry if holds and model.lost_at < model.published_at else {}
        rules._effects(event, taken)
        rules._moves(before, event, taken)
        rules._drains(before, event, taken)
        rules._limits(before, event, taken)
        rules._rollout(before, event, taken)
        rules._canary(before, event, taken)
        rules._told(before, event, taken)
        rules._state_named(event, taken)
        if any(isinstance(effect, Publish | Start | Stop) for effect in taken.effects):
            assert acting(taken.state, event.now), "it acts outside its term"

    def _choice(self, process: ScalerProcess, before: State, event: Event, taken: Step) -> None:
        """A way down that was chosen: on full knowledge, and to nothing only from idleness."""
        if isinstance(event, Adopted) or taken.state.closing:
            return
        if process.now() - event.now > LEASE_TTL_S:
            return  # it slept on what it saw; its lease is over, and the store takes nothing that comes of it
        chosen = [
            name
            for name, one in taken.state.instances.items()
            if one.phase is Phase.DRAINING
            and name in before.instances
            and before.instances[name].phase is Phase.SERVING
            and one.spec != canary_spec(before)  # what is cut off goes at once
        ]
        if not chosen:
            return
        model = self._model
        looked_at = process.looked_at(event.sighting if isinstance(event, Tick) else None)
        if missing := model.missing(process.id, looked_at):
            raise model.broken("a missing proxy delays scale-down", f"{process.name} drains {chosen}: {missing}")
        serving = sum(one.phase is Phase.SERVING for one in taken.state.instances.values())
        if serving == 0 and taken.state.manual is None:
            window_s = self._policy.sizes.stable_window_s - QUIET_SLACK_S
            if busy := model.busy(process.id, looked_at, window_s):
                raise model.broken("to zero only when idle", f"{process.name} drains {chosen}: {busy} had requests")

    def _rate(self, process: ScalerProcess, rps: float) -> None:
        now, window_s = self._model.timeline.now, self._policy.sizes.stable_window_s
        if rps <= self._most_rps(now, now) * 1.3 + 3.0:
            return
        most = self._most_rps(now - window_s - LONGEST_HOLE_S, now)
        if rps > most * 1.3 + 3.0:
            raise self._model.broken("rates do not jump", f"{process.name} sees {rps:.1f} rps of {most:.1f} at most")


class MostRps:
    """The largest true rate within a span."""

    def __init__(self, load: tuple[tuple[float, float], ...]) -> None:
        self._load = load
        self._ends = [until for _, until in load]

    def __call__(self, begin: float, end: float) -> float:
        first, last = bisect_left(self._ends, begin), bisect_right(self._ends, end)
        return max(rate for rate, _ in self._load[first : last + 1])

    def arrived(self, begin: float, end: float) -> float:
        """How many requests came in that time."""
        load, part, total = self._load, bisect_right(self._ends, begin), 0.0
        while part < len(load):
            rate, until = load[part]
            if until >= end:
                return total + rate * (end - begin)
            total += rate * (until - begin)
            begin, part = until, part + 1
        return total
