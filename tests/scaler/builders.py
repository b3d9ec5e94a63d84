"""What the tests of the scaler are built from: settings, readings, censuses, and a machine that remembers its steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from fleet.backend import LOCAL_HOST, Backend, Phase
from fleet.registry import (
    BackendCounters,
    Change,
    Happening,
    Memory,
    ProxyReading,
    Sighting,
    Snapshot,
    detail_of,
)
from fleet.settings import LifeSettings, PolicySettings
from scaler.machine import step
from scaler.messages import (
    Adopted,
    Census,
    Effect,
    Elected,
    Event,
    Found,
    Outcome,
    Probed,
    Publish,
    Published,
    Report,
    Start,
    Started,
    Stop,
    Stopped,
    Survey,
    Tick,
)
from scaler.state import Instance, Policy, State
from scaler.turn import Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


APP = "web"
SPEC = "spec1"
TTL_S = 4.0
EPOCH_S = 1000.0
BAD = "status 500"
EMPTY = Memory()

One = TypeVar("One", bound=Effect)


def policy(life: Mapping[str, Any] | None = None, **sizes: Any) -> Policy:
    """The defaults, with these settings instead."""
    return Policy(APP, SPEC, PolicySettings(**sizes), LifeSettings(**life or {}))


def reading(proxy: str = "p", arrivals: int = 0, **values: Any) -> ProxyReading:
    """What a proxy wrote."""
    filled = {"series": "s", "uptime_ms": 0, "generation": 0, **values}
    return ProxyReading(id=proxy, arrivals=arrivals, **filled)


def found(name: str, **values: Any) -> Found:
    """Something of ours that runs."""
    return Found(**{"name": name, "host": LOCAL_HOST, "spec": SPEC, "url": url(name), **values})


def url(name: str) -> str:
    """Where an instance of that name listens."""
    return f"http://127.0.0.1:{20_000 + int(name.removeprefix(APP))}"


def listed(name: str, phase: Phase = Phase.SERVING, **values: Any) -> Backend:
    """An entry of the registry."""
    return Backend(**{"name": name, "phase": phase, "url": url(name), "spec": SPEC, **values})


def snapshot(*backends: Backend, generation: int = 5) -> Snapshot:
    """A registry of these."""
    return Snapshot(generation, {backend.name: backend for backend in backends})


def remembered(*backends: str, generation: int = 5, desired: int | None = None, **phases: Phase) -> Memory:
    """What the store knows: these serving, and those in their phases."""
    every = [*(listed(name) for name in backends), *(listed(name, phase) for name, phase in phases.items())]
    return Memory(snapshot(*every, generation=generation), serial=9, desired=desired)


def census(
    *there: Found, asked_at: float, hosts: Iterable[str] = (LOCAL_HOST,), answered: Iterable[str] | None = None
) -> Census:
    """What runs; every host answered unless told otherwise."""
    every = frozenset(hosts)
    return Census(asked_at, there, every if answered is None else frozenset(answered), every)


@dataclass
class Machine:
    """A machine with its memory, driven event by event; `now` goes on by `wait`."""

    policy: Policy = field(default_factory=policy)
    state: State = field(default_factory=State)
    now: float = EPOCH_S
    steps: list[Step] = field(default_factory=list)
    arrivals: int = 0
    generation: int = 10

    @property
    def last(self) -> Step:
        """The newest step."""
        return self.steps[-1]

    @property
    def instances(self) -> Mapping[str, Instance]:
        """What the machine knows of."""
        return self.state.instances

    def phases(self) -> dict[str, str]:
        """Every instance's phase."""
        return {name: str(instance.phase) for name, instance in self.state.instances.items()}

    def take(self, event: Event) -> Step:
        """One step."""
        taken = step(self.policy, self.state, event)
        self.state = taken.state
        self.steps.append(taken)
        return taken

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def elect(self, token: int = 1, settled_in_s: float = 0.0) -> Step:
        """The lease is ours."""
        return self.take(Elected(self.now, token, self.now, self.now + settled_in_s, TTL_S))

    def adopt(
        self,
        *there: Found,
        memory: Memory | None = None,
        ready: Iterable[str] = (),
        answered: Iterable[str] | None = None,
        hosts: Iterable[str] = (LOCAL_HOST,),
    ) -> Step:
        """The survey's answer."""
        counted = census(*there, asked_at=self.now, hosts=hosts, answered=answered)
        term = self.state.term
        token = term.token if term else 0
        return self.take(Adopted(self.now, token, counted, memory or Memory(), frozenset(ready)))

    def lead(self, *there: Found, memory: Memory | None = None, ready: Iterable[str] = ()) -> Step:
        """Elected, surveyed, and what follows published."""
        self.elect()
        self.adopt(*there, memory=memory, ready=ready)
        return self.publish()

    def tick(self, *readings: ProxyReading, silent: tuple[str, ...] = (), detail: bool = False) -> Step:
        """A look at the proxies, with the lease renewed."""
        seen = Sighting(readings, silent, detail=detail_of(readings) if detail else None)
        return self.take(Tick(self.now, seen, renewed_at=self.now))

    def look(self, in_flight: Mapping[str, int], **values: Any) -> Step:
        """A look in detail at one proxy that has applied all."""
        counters = {name: BackendCounters(in_flight=count) for name, count in in_flight.items()}
        leaving = {name: count for name, count in in_flight.items() if self.phases()[name] != Phase.SERVING}
        told = reading(generation=self.generation, backends=counters, leaving=leaving, **values)
        return self.tick(told, detail=True)

    def blind(self) -> Step:
        """A tick while the store cannot be read."""
        return self.take(Tick(self.now, None))

    def answer(self) -> Step:
        """The store takes what is being published."""
        assert self.state.publishing is not None
        self.generation += 1
        return self.take(Published(self.now, self.state.publishing, self.generation))

    def publish(self) -> Step:
        """The store takes what is being published, and what was waiting for that."""
        taken = self.answer()
        while self.state.publishing is not None:
            taken = self.answer()
        return taken

    def start(self, *names: str) -> None:
        """The actuator started these, and the store took it."""
        for name in names:
            self.take(Started(self.now, name, url(name), LOCAL_HOST))
        self.publish()

    def ready(self, *names: str) -> None:
        """These answer their probe, and the store took it."""
        for name in names:
            self.take(Probed(self.now, name, Outcome.READY))
            if self.state.publishing is not None:
                self.publish()

    def stop(self, name: str) -> None:
        """The actuator stopped it, and the store took it."""
        self.take(Stopped(self.now, name))
        self.publish()

    def rps(self, rate: float, seconds: float, **values: Any) -> None:
        """So much traffic for so long, one tick a second, whatever is published taken at once."""
        for _ in range(round(seconds)):
            self.wait(1.0)
            self.arrivals += round(rate)
            told = {"generation": self.generation, "uptime_ms": round((self.now - EPOCH_S) * 1000), **values}
            self.tick(reading(arrivals=self.arrivals, **told))
            while self.state.publishing is not None:
                self.publish()

    def emitted(self, kind: type[One]) -> list[One]:
        """The effects of that kind of the last step."""
        return [effect for effect in self.last.effects if isinstance(effect, kind)]

    def told(self) -> list[Happening]:
        """The happenings that the last step gave out."""
        return happenings(self.last)

    def reasons(self, subject: str = "") -> list[str]:
        """Why, of everything ever told of a subject."""
        every = [one for taken in self.steps for one in happenings(taken)]
        return [reason for one in every if one.subject == subject or not subject for reason in one.reasons]

    def started(self) -> list[str]:
        """The names that were ever ordered to start."""
        return [
            place.name
            for taken in self.steps
            for effect in taken.effects
            if isinstance(effect, Start)
            for place in effect.placements
        ]

    def stopped(self) -> list[str]:
        """The names that were ever ordered to stop."""
        return [effect.name for taken in self.steps for effect in taken.effects if isinstance(effect, Stop)]

    def change(self) -> Change:
        """What the last step publishes."""
        [effect] = self.emitted(Publish)
        return effect.change


def happenings(taken: Step) -> list[Happening]:
    """What a step tells people."""
    return [
        one
        for effect in taken.effects
        if isinstance(effect, Publish | Report)
        for one in (effect.change.happenings if isinstance(effect, Publish) else effect.happenings)
    ]


def serving(count: int, **sizes: Any) -> Machine:
    """A machine that has taken over `count` serving instances and has published so."""
    names = [f"{APP}{number}" for number in range(1, count + 1)]
    machine = Machine(policy(**sizes))
    backends = snapshot(*(listed(name) for name in names))
    machine.lead(*(found(name) for name in names), memory=Memory(backends, serial=count, desired=count))
    return machine


def surveys(taken: Step) -> int:
    """How often a step asks for a survey."""
    return sum(isinstance(effect, Survey) for effect in taken.effects)


def probe(machine: Machine, name: str, *outcomes: Outcome, detail: str = BAD) -> None:
    for outcome in outcomes:
        machine.take(Probed(machine.now, name, outcome, detail if outcome is not Outcome.READY else ""))


def refusing(counts: Mapping[str, int], proxy: str = "p", total: int | None = None, series: str = "s") -> ProxyReading:
    return reading(
        proxy,
        series=series,
        refused=sum(counts.values()) if total is None else total,
        backends={name: BackendCounters(refused=count) for name, count in counts.items()},
    )


def told(machine: Machine, kind: str) -> list[str]:
    return [one.subject for taken in machine.steps for one in happenings(taken) if one.kind == kind]
