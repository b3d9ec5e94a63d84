"""The live world without waiting: a clock by hand, the store in memory, an actuator by script, threads at once."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from fleet.backend import LOCAL_HOST
from fleet.memory import MemoryStore
from fleet.settings import InstanceSettings
from scaler.actuators.actuator import Failed, Removed, Started, StartOrder
from scaler.definitions import Definitions
from scaler.hands import Hands
from scaler.inbox import Inbox
from scaler.live import Live
from scaler.machine import step
from scaler.messages import Census, Event, Found, Outcome
from scaler.state import Policy, State
from scaler.turn import Step
from tests.scaler.builders import SPEC, policy, reading, url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fleet.registry import Happening
    from scaler.inbox import Ending, Wake

One = TypeVar("One", bound=Event)
Target = tuple[str, str, float]


@dataclass
class HandClock:
    """A clock that goes on when it is told to."""

    at: float = 1000.0

    def now(self) -> float:
        return self.at


class PatientInbox(Inbox):
    """An inbox in which waiting takes no time: the clock jumps to the end of it instead."""

    def __init__(self, clock: HandClock, waited: Callable[[], None]) -> None:
        super().__init__(clock.now)
        self._clock = clock
        self._waited = waited

    def take(self, wait_s: float) -> Event | Ending | Wake | None:
        item = super().take(0.0)
        if item is None:
            self._clock.at += wait_s
            self._waited()
        return item


class AtOnce(ThreadPoolExecutor):
    """A pool whose work is done before `submit` returns."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done = Future[Any]()
        done.set_result(fn(*args, **kwargs))
        return done


@dataclass
class ScriptedActuator:
    """Starts and stops by name; `fails` and `unstoppable` name what goes wrong."""

    clock: HandClock
    there: dict[str, Found] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    fails: dict[str, str] = field(default_factory=dict)
    unstoppable: set[str] = field(default_factory=set)
    batches: bool = False

    def start(self, orders: Sequence[StartOrder]) -> list[Started | Failed]:
        return [self._start(order) for order in orders]

    def _start(self, order: StartOrder) -> Started | Failed:
        self.started.append(order.name)
        if order.name in self.fails:
            return Failed(order.name, self.fails[order.name])
        self.there[order.name] = Found(order.name, order.host, order.spec, url(order.name))
        return Started(order.name, url(order.name), order.host)

    def resolve(self, definition: InstanceSettings) -> str:
        if definition.image in self.fails:
            raise RuntimeError(self.fails[definition.image])
        return definition.image and f"{definition.image}@sha256:{'0' * 64}"

    def stop(self, name: str, host: str, grace_s: float) -> Removed:
        del host, grace_s
        self.stopped.append(name)
        if name in self.unstoppable:
            raise RuntimeError("it does not end")
        self.there.pop(name, None)
        return Removed()

    def running(self) -> Census:
        hosts = frozenset({LOCAL_HOST})
        return Census(self.clock.now(), tuple(self.there.values()), hosts, hosts)


@dataclass
class ScriptedProber:
    """Knows what it is to probe; the rig answers for it."""

    targets: tuple[Target, ...] = ()
    closed: bool = False

    def start(self) -> None:
        """Nothing to begin."""

    def close(self) -> None:
        self.closed = True

    def set_targets(self, targets: Iterable[Target]) -> None:
        self.targets = tuple(targets)


@dataclass
class Rig:
    """A scaler in the live world. `rps` is the traffic of its one proxy; `proxy` off lets that fall silent."""

    policy: Policy = field(default_factory=policy)
    scaler: str = "one"
    clock: HandClock = field(default_factory=HandClock)
    store: MemoryStore = field(default_factory=lambda: MemoryStore(lambda: 0.0))
    actuator: ScriptedActuator | None = None
    state: State = field(default_factory=State)
    steps: list[tuple[Event, Step]] = field(default_factory=list)
    rps: float = 0.0
    proxy: bool = True
    ended: bool = False
    arrivals: float = 0.0
    counted_at: float | None = None

    def __post_init__(self) -> None:
        self.store.clock = self.clock.now
        self.hand = self.actuator or ScriptedActuator(self.clock)
        self.inbox = PatientInbox(self.clock, self._waited)
        self.hands = Hands(
            self.hand, Definitions(InstanceSettings(), SPEC), self._probe_once, self.inbox.answer, self.clock.now, 4
        )
        self.hands._starts = self.hands._stops = self.hands._counts = AtOnce()
        self.prober = ScriptedProber()
        self.world = Live(self.scaler, self.store, self.hands, self.prober, self.inbox, self.clock.now, 1.0)
        self._waited()

    def _probe_once(self, urls: Mapping[str, str]) -> Mapping[str, Outcome]:
        return dict.fromkeys(urls, Outcome.READY)

    def _waited(self) -> None:
        """What goes on outside while the scaler waits: the proxy writes, every probe finds its instance ready."""
        if self.proxy and self.store.outage is None:
            self.report()
        for name, _, _ in self.prober.targets:
            self.inbox.probed(name, Outcome.READY if name in self.hand.there else Outcome.REFUSED, "")

    def report(self, **values: Any) -> None:
        """The proxy writes its counters; it has applied what is published."""
        now = self.clock.now()
        self.arrivals += self.rps * (now - (self.counted_at if self.counted_at is not None else now))
        self.counted_at = now
        snapshot = self.store._stored.snapshot
        told = {
            "generation": snapshot.generation if snapshot else 0,
            "uptime_ms": round(now * 1000),
            "backends": {},
            **values,
        }
        asyncio.run(self.store.report(reading("p", round(self.arrivals), **told)))

    def run(self, seconds: float) -> Rig:
        """Let so much time pass, or less where the run ends."""
        until = self.clock.at + seconds
        while self.clock.at < until and not self.ended:
            self.once()
        return self

    def once(self) -> Event | None:
        """One event, its step, its effects."""
        event = self.world.next_event()
        if event is None:
            self.ended = True
            return None
        taken = step(self.policy, self.state, event)
        self.steps.append((event, taken))
        self.state = taken.state
        for effect in taken.effects:
            self.world.perform(effect)
        return event

    def events(self, kind: type[One]) -> list[One]:
        """Every event of that kind so far."""
        return [event for event, _ in self.steps if isinstance(event, kind)]

    def history(self) -> list[Happening]:
        """What the store has of the fleet's history."""
        return [one for _, one in self.store.history("", wait_s=0.0)]

    def phases(self) -> dict[str, str]:
        """What the store lists."""
        snapshot = self.store._stored.snapshot
        return {name: str(backend.phase) for name, backend in snapshot.backends.items()} if snapshot else {}


def serving(rig: Rig | None = None, **sizes: Any) -> Rig:
    """A rig whose fleet serves; the first lease of an empty store waits its 4 s."""
    rig = rig or Rig(policy(**sizes))
    rig.run(6)
    assert set(rig.phases().values()) == {"serving"}
    return rig
