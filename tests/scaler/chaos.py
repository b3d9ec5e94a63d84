"""A hostile world: it answers in any order, late, twice or not at all, and loses what it likes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fleet.backend import LOCAL_HOST, Backend, Phase, instance_name
from fleet.registry import (
    BackendCounters,
    Change,
    Memory,
    Order,
    OrderKind,
    ProxyReading,
    Sighting,
    Snapshot,
    detail_of,
)
from fleet.release import Releases
from scaler.machine import step
from scaler.messages import (
    Adopted,
    Census,
    Closed,
    Counted,
    Deposed,
    Effect,
    Elected,
    Event,
    Found,
    Look,
    Ordered,
    Outcome,
    Probed,
    Publish,
    Published,
    Refused,
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
)
from scaler.state import Policy, State
from tests.scaler.builders import APP, SPEC, TTL_S, url
from tests.scaler.invariants import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable


PROXIES = ("a", "b")
OUTCOMES = tuple(Outcome)
HOSTS = frozenset({LOCAL_HOST})


@dataclass
class Chaos:
    """One run. `play` takes (what, a, b): which thing happens, and two numbers that say how."""

    policy: Policy
    watcher: Watcher
    state: State = field(default_factory=State)
    now: float = 1000.0
    token: int = 0
    generation: int = 0
    stored: dict[str, Backend] = field(default_factory=dict)
    serial: int = 0
    pending: tuple[int, Change] | None = None
    starts: list[str] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)
    surveys: list[tuple[int, Memory]] = field(default_factory=list)
    there: dict[str, bool] = field(default_factory=dict)
    specs: dict[str, str] = field(default_factory=dict)
    releases: Releases | None = None
    resolves: list[Resolve] = field(default_factory=list)
    applied: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PROXIES, 0))
    arrivals: int = 0
    rate: int = 20
    refused: int = 0
    effects: tuple[Effect, ...] = ()

    def take(self, event: Event) -> None:
        """One step, checked, and its effects carried out as far as they go by themselves."""
        taken = step(self.policy, self.state, event)
        before, self.state, self.effects = self.state, taken.state, taken.effects
        self.watcher.check(before, event, taken)
        for effect in taken.effects:
            match effect:
                case Publish():
                    self.pending = effect.version, effect.change
                case Start():
                    self.starts += [place.name for place in effect.placements]
                    self.specs |= {place.name: place.spec for place in effect.placements}
                case Resolve():
                    self.resolves.append(effect)
                case Stop():
                    self.stops.append(effect.name)
                case Survey():
                    snapshot = Snapshot(self.generation, dict(self.stored)) if self.generation else None
                    memory = Memory(snapshot, self.serial, releases=self.releases)
                    self.surveys.append((effect.token, memory))
                case _:
                    pass

    def play(self, what: int, a: int, b: int) -> None:
        """Let one of the things happen."""
        happens: Callable[[int, int], None] = MENU[what % len(MENU)].__get__(self)
        happens(a, b)

    def tick(self, a: int, b: int) -> None:
        self.now += 31.0 if a % 53 == 0 else 5.0 if a % 19 == 0 else 0.05 if a % 11 == 0 else 1.0
        renewed = self.state.term is not None and a % 13 != 0
        self.take(Tick(self.now, self._sighting(b, detail=False), self.now if renewed else None))
        if any(isinstance(effect, Look) for effect in self.effects) and a % 4:
            self.look(1, b)

    def look(self, a: int, b: int) -> None:
        self.take(Tick(self.now, self._sighting(b, detail=True), self.now if a % 5 else None))

    def blind(self, a: int, b: int) -> None:
        del b
        self.now += a % 3
        self.take(Tick(self.now, None))

    def _sighting(self, b: int, *, detail: bool) -> Sighting:
        silent = tuple(name for number, name in enumerate(PROXIES) if b % 32 == number + 1 or b % 32 == 3)
        self.arrivals += self.rate
        self.refused += b % 37 == 0
        self.applied.update(dict.fromkeys(PROXIES[: b % 4], self.generation))
        readings = tuple(self._reading(name, b) for name in PROXIES if name not in silent)
        return Sighting(
            tuple(replace(reading, backends=None) for reading in readings),
            silent,
            ("proxy c: nonsense",) if b % 19 == 0 else (),
            frozenset(PROXIES[:1]).intersection(silent),
            detail_of(readings, outcomes=True) if detail else None,
        )

    def _reading(self, name: str, b: int) -> ProxyReading:
        backends = {
            one: BackendCounters(
                arrivals=self.arrivals,
                errors=self.arrivals // (1 + (number + b) % 4),
                in_flight=max(0, b % 5 - 2),
                refused=self.refused if number == 0 else 0,
                busy_ms=self.arrivals * (b % 50),
            )
            for number, one in enumerate(self.state.instances)
        }
        return ProxyReading(
            name,
            f"series{b // 900}",
            uptime_ms=round(self.now * 1000),
            generation=self.applied[name],
            arrivals=self.arrivals,
            refused=self.refused,
            in_flight=min(self.rate, b % 7),
            held=min(self.rate, b % 3),
            leaving={
                one: told.in_flight
                for one, told in backends.items()
                if told.in_flight and self.state.instances[one].phase is not Phase.SERVING
            },
            backends=backends,
        )

    def publish(self, a: int, b: int) -> None:
        del b
        if self.pending is None:
            return
        (version, change), self.pending = self.pending, None
        if a % 5 == 0:
            self.take(Unpublished(self.now, version, "gone"))
            return
        self.generation += 1
        self.stored, self.serial, self.releases = dict(change.backends), change.serial, change.releases
        self.watcher.accepted = self.stored
        self.take(Published(self.now, version, self.generation))

    def started(self, a: int, b: int) -> None:
        if self.starts:
            name = self.starts.pop(a % len(self.starts))
            if b % 8 == 0:
                self.take(StartFailed(self.now, name, "no image"))
            else:
                self.there[name] = True
                self.take(Started(self.now, name, url(name), LOCAL_HOST))

    def stopped(self, a: int, b: int) -> None:
        if self.stops:
            name = self.stops.pop(a % len(self.stops))
            if b % 4 == 0:
                self.take(StopFailed(self.now, name, "busy"))
            else:
                self.there.pop(name, None)
                self.take(Stopped(self.now, name))

    def probed(self, a: int, b: int) -> None:
        names = list(self.state.instances)
        if names:
            self.take(Probed(self.now, names[a % len(names)], OUTCOMES[max(0, b % 9 - 5)], "told"))

    def crash(self, a: int, b: int) -> None:
        names = list(self.there)
        if names and b % 2:
            self.there[names[a % len(names)]] = False

    def counted(self, a: int, b: int) -> None:
        del b
        self.take(Counted(self.now, self._census(a)))

    def _census(self, a: int) -> Census:
        found = tuple(
            Found(
                name,
                LOCAL_HOST,
                self.specs.get(name, SPEC),
                url(name) if runs else None,
                running=runs,
                exit_code=None if runs else 1,
            )
            for name, runs in self.there.items()
        )
        if a % 9 == 4:
            return Census(self.now - 0.5, (), frozenset(), HOSTS, ("the engine does not answer",))
        return Census(self.now - (a % 2), found, HOSTS, HOSTS)

    def ordered(self, a: int, b: int) -> None:
        kind = tuple(OrderKind)[a % 5]
        count = b % 9 if kind is OrderKind.SCALE else None
        proxy = PROXIES[b % len(PROXIES)] if kind is OrderKind.FORGET else ""
        self.take(Ordered(self.now, Order(kind, count, f"{a}-{b}", proxy)))

    def deployed(self, a: int, b: int) -> None:
        kind = {0: OrderKind.ROLLBACK, 1: OrderKind.PROMOTE, 2: OrderKind.ABORT}.get(a % 8, OrderKind.DEPLOY)
        order = Order(kind, id=f"{a}-{b}")
        if kind is OrderKind.DEPLOY:
            share = (1, 10, 50)[b % 3] if a % 2 else None
            order = replace(order, image="" if b % 7 == 0 else f"v{b % 3}", share=share, sticky=b % 2 == 0)
        self.take(Ordered(self.now, order))

    def resolved(self, a: int, b: int) -> None:
        if not self.resolves:
            return
        asked = self.resolves.pop(a % len(self.resolves))
        if b % 5 == 0:
            self.take(Unresolved(self.now, asked.image, asked.order, "no such image"))
        else:
            spec = f"spec-{asked.image}" if asked.image else SPEC
            self.take(Resolved(self.now, asked.image, asked.order, asked.image, spec))

    def traffic(self, a: int, b: int) -> None:
        self.rate = 0 if a % 3 == 0 else b % 70

    def close(self, a: int, b: int) -> None:
        if a % 8 == 0 and b % 8 == 0:
            self.take(Closed(self.now))

    def term(self, a: int, b: int) -> None:
        if a % 4 and self.state.adopted:
            return
        self.pending = None
        if self.state.term is not None and a % 3:
            self.take((Deposed if b % 2 else Refused)(self.now, "taken"))
            return
        if b % 7 == 0:
            self.stored, self.generation, self.serial, self.releases = {}, 0, 0, None
            self.watcher.accepted = {}
        self.token += 1
        wait_s = 4.0 if b % 7 == 0 else 0.0
        self.take(Elected(self.now, self.token, self.now, self.now + wait_s, TTL_S))

    def adopted(self, a: int, b: int) -> None:
        if self.surveys:
            token, memory = self.surveys.pop(a % len(self.surveys))
            ready = frozenset(name for number, name in enumerate(self.there) if (b >> number) % 2)
            self.take(Adopted(self.now, token, self._census(b), memory, ready))

    def late(self, a: int, b: int) -> None:
        """An answer that nobody waits for must leave every instance as it is."""
        name, before = instance_name(APP, 5000 + a), self.state.instances
        self.take(
            (
                Started(self.now, name, url(name), LOCAL_HOST),
                StartFailed(self.now, name, "late"),
                Stopped(self.now, name),
                Probed(self.now, name, OUTCOMES[b % len(OUTCOMES)]),
                Published(self.now, 100_000 + a, 3),
                Unpublished(self.now, 100_000 + a, "late"),
                Adopted(self.now, 100_000 + a, self._census(1), Memory()),
            )[b % 7]
        )
        assert before == self.state.instances


MENU = (
    Chaos.tick,
    Chaos.tick,
    Chaos.look,
    Chaos.probed,
    Chaos.traffic,
    Chaos.tick,
    Chaos.tick,
    Chaos.tick,
    Chaos.tick,
    Chaos.look,
    Chaos.look,
    Chaos.blind,
    Chaos.publish,
    Chaos.publish,
    Chaos.publish,
    Chaos.publish,
    Chaos.started,
    Chaos.started,
    Chaos.stopped,
    Chaos.stopped,
    Chaos.probed,
    Chaos.probed,
    Chaos.crash,
    Chaos.counted,
    Chaos.ordered,
    Chaos.close,
    Chaos.term,
    Chaos.adopted,
    Chaos.adopted,
    Chaos.late,
    Chaos.deployed,
    Chaos.resolved,
    Chaos.resolved,
)
