"""Scalers, proxies, hosts and the store of one simulated run."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from tests.chaos.simulated.engine import Engine
from tests.chaos.simulated.faults import FAULTS
from tests.chaos.simulated.model import Model
from tests.chaos.simulated.plan import CALM_S, Plan
from tests.chaos.simulated.proxy import Proxy
from tests.chaos.simulated.scaler_process import ScalerProcess
from tests.chaos.simulated.server import Board, Server
from tests.chaos.simulated.steps import MostRps, StepWatcher
from tests.chaos.simulated.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.registry import Change, Happening, Lease, Order, OrderKind
    from scaler.messages import Event
    from scaler.state import State
    from scaler.turn import Step

TAKE_OVER_S = 10.0
UNSETTLED_S = 6.0
REST_S = 60.0
NEWS_S = 0.02
# Whole requests, counted over a short window, give a need that is so much larger or smaller than the true one.
NOISE = 0.1


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to."""

    steps: int
    published: int
    started: int
    stopped: int
    terms: int


class World:
    """One run of a plan; `run` raises BrokenError at the first promise that does not hold."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.policy = plan.policy()
        self.timeline = Timeline()
        self.load = MostRps(plan.load)
        self.model = Model(self.policy, self.timeline)
        self.engine = Engine(plan, self.timeline, self.model)
        self.server = Server(self.timeline, self)
        self.scalers = {
            name: ScalerProcess(name, self.policy, self.server, self.engine, self.timeline, self._watch)
            for name in (f"scaler{number + 1}" for number in range(plan.scalers))
        }
        self.proxies = {
            name: Proxy(
                name,
                kind,
                plan.seed,
                Board(name, self.server),
                self.engine,
                self.timeline,
                self.load.arrived,
                plan.answer_s,
                plan.slow_share,
                lambda name=name: self._wake(name),  # type: ignore[misc]
            )
            for name, kind in ((f"proxy{number + 1}", kind) for number, kind in enumerate(plan.proxies))
        }
        self.model.proxies = self.proxies
        self._watchers: dict[str, tuple[int, StepWatcher]] = {}
        self._able_since: dict[str, float] = {}
        self.taken_back: dict[OrderKind, float] = {}
        self.unplaced: deque[Order] = deque()
        self._disturbed_until = 0.0
        steady_from = [until for _, until in ((0.0, 0.0), *plan.load)][-2]
        over = max((fault.at + fault.lasts_s for fault in plan.faults), default=0.0)
        self._rest_from = max(over, steady_from) + CALM_S - REST_S

    def run(self) -> Result:
        """Let the hour pass."""
        at = self.timeline.at
        for number, scaler in enumerate(self.scalers.values()):
            at(0.1 + 0.37 * number, scaler.begin)
        for number, proxy in enumerate(self.proxies.values()):
            at(0.3 * number, lambda proxy=proxy: self.begin_proxy(proxy))  # type: ignore[misc]
        for fault in self.plan.faults:
            if fault.kind in {"store-old", "store-failover"}:
                at(fault.at - fault.lasts_s, lambda fault=fault: self.server.keep(fault.at))  # type: ignore[misc]
            at(fault.at, lambda fault=fault: FAULTS[fault.kind](self, fault))  # type: ignore[misc]
        at(1.0, self._every_second)
        self.timeline.run(self.plan.until_s)
        counted = self.model.checked
        return Result(
            counted["steps"], counted["published"], counted["started"], counted["stopped"], counted["granted"]
        )

    # Who tells whom ---------------------------------------------------------------------------------------------

    def granted(self, lease: Lease) -> None:
        self.model.granted(lease)

    def written(self, lease: Lease, happenings: Sequence[Happening]) -> None:
        self.model.written(lease, happenings)

    def published(self, lease: Lease, change: Change, generation: int) -> None:
        self.model.closing = any(one.state.closing for one in self.scalers.values() if one.id == lease.scaler)
        self.model.published(lease, change, generation)
        self._able_since.clear()  # somebody acts, be it only until a fault right after that
        for number, proxy in enumerate(self.proxies.values()):
            life = proxy.life
            delay_s = NEWS_S * (1 + number) + self.server.delay
            self.timeline.after(delay_s, lambda proxy=proxy, life=life: proxy.news(life))  # type: ignore[misc]

    def _watch(self, process: ScalerProcess, before: State, event: Event, taken: Step) -> None:
        life, watcher = self._watchers.get(process.name, (0, None))
        if watcher is None or life != process.life:
            watcher = StepWatcher(self.policy, self.model, self.load)
            self._watchers[process.name] = process.life, watcher
        watcher(process, before, event, taken)

    def _wake(self, party: str) -> None:
        for scaler in self.scalers.values():
            if self.server.reachable(scaler.name) and self.server.reachable(party):
                self.timeline.after(0.002, scaler.wake)

    def begin_proxy(self, proxy: Proxy) -> None:
        for one in self.proxies.values():
            one.advance()
        proxy.begin()
        self.share()

    def share(self) -> None:
        """Clients go to the proxies that take connections."""
        serving = sum(one.serves for one in self.proxies.values())
        for one in self.proxies.values():
            one.advance()
            one.share = 1 / serving if serving else 0.0

    # What must hold all the time, and at the end ----------------------------------------------------------------

    def _every_second(self) -> None:
        now = self.timeline.now
        self._take_over(now)
        if now >= self._rest_from:
            self._at_rest()
        self.timeline.at(now + 1.0, self._every_second)

    def disturb(self, seconds: float) -> None:
        """For so long, and a little more, a take-over may be slow."""
        self._disturbed_until = max(self._disturbed_until, self.timeline.now + seconds)

    def _take_over(self, now: float) -> None:
        """Somebody acts, at the latest 10 s after somebody could."""
        acting = False
        for one in self.scalers.values():
            state = one.state
            if one.alive and state.adopted and state.term is not None and one.now() < state.term.act_until:
                acting = True
        if acting:
            self._able_since.clear()
            return
        for one in self.scalers.values():
            able = one.alive and not one.paused and self.server.reachable(one.name) and self.server.delay < 1
            if not able or now < self._disturbed_until:
                self._able_since.pop(one.name, None)
            elif now - (since := self._able_since.setdefault(one.name, now)) > self._limit_s(since):
                raise self.model.broken("take-over within 10 s", f"{one.name} could act and nobody does")

    def _limit_s(self, since: float) -> float:
        """Old data may hold an old lease, and who takes one from a server that lost data waits a lease's time.

        Whoever waits while data is lost again loses the lease that it has, and begins anew.
        """
        lost_at = self.model.lost_at
        return TAKE_OVER_S + (UNSETTLED_S + max(0.0, lost_at - since) if lost_at >= since - TAKE_OVER_S else 0.0)

    def _at_rest(self) -> None:
        """After the last fault: everything that runs is listed and serves, and every proxy knows it."""
        model, now = self.model, self.timeline.now
        listed = {name: str(one.phase) for name, one in model.registry.items()}
        there = {name: "serving" if one.answers(now) else "broken" for name, one in self.engine.containers.items()}
        if listed != there:
            raise model.broken("it comes to rest", f"listed {listed}, there {there}")
        releases = self.server.memory._stored.releases
        specs = {name: one.spec for name, one in self.engine.containers.items()}
        under_way = releases and (releases.rollout or releases.asked or releases.canary)
        if releases is None or under_way or {releases.current.spec, *specs.values()} != {releases.current.spec}:
            raise model.broken("it comes to rest", f"{specs} run, released is {releases}")
        serving = set(listed)
        for proxy in self.proxies.values():
            if proxy.generation != model.generation or set(proxy.targets) != serving or proxy.held:
                raise model.broken("it comes to rest", f"{proxy.id} sends to {proxy.targets} of {sorted(serving)}")
        sizes, rate = self.policy.sizes, self.plan.load[-1][0]
        need, noise = rate / (sizes.target_rps or 1.0), NOISE if rate else 0.0
        fewest, most = (min(max(one, sizes.min), sizes.max) for one in (need - noise, ceil(need + noise)))
        near = sizes.tolerance * len(serving)  # what is as near as that is left as it is
        if len(serving) - most > near or fewest - len(serving) > near:
            raise model.broken("it comes to rest", f"{len(serving)} serve, {need:.1f} are needed for {rate} rps")
        if rate == 0 and sizes.min == 0 and serving:
            raise model.broken("it comes to rest", f"{sorted(serving)} serve though nothing arrives")
