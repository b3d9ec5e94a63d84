"""The hosts with their containers: what runs, how it answers, and what comes of a call of the engine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

from scaler.messages import Census, Found, Outcome
from tests.chaos.simulated.plan import HOSTS, SPEC, Plan
from tests.chaos.simulated.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.messages import Placement

NEVER = float("inf")
CALL_TIMEOUT_S = 15.0
START_S = 0.4
CENSUS_S = 0.05
LATE_S = 40.0


def kind_of(image: str) -> str:
    """How instances of that image behave."""
    return image.partition("-")[0]


def chance(*parts: object) -> float:
    """A number from 0 to 1 that depends on these alone, so that one thing more or less changes no other."""
    return crc32(":".join(map(str, parts)).encode()) / 2**32


@dataclass(slots=True)
class Container:
    """One instance as it really is; times are true."""

    name: str
    host: str
    url: str
    created: float
    ready_at: float
    dead_at: float = NEVER
    mute: tuple[float, float] = (NEVER, NEVER)
    bad: tuple[float, float] = (NEVER, NEVER)
    ended: bool = False  # it was told to end
    spec: str = SPEC
    image: str = ""

    def listens(self, now: float) -> bool:
        """Whether a connection is accepted."""
        return not self.ended and self.ready_at <= now < self.dead_at

    def runs(self, now: float) -> bool:
        """Whether its process is there."""
        return now < self.dead_at

    def answers(self, now: float) -> bool:
        """Whether a request is answered."""
        return self.listens(now) and not self.mute[0] <= now < self.mute[1]


class Witness(Protocol):
    """Who is told what the engine was really asked for."""

    def start_sent(self, scaler: str, name: str) -> None: ...
    def stop_sent(self, scaler: str, container: Container) -> None: ...


@dataclass(slots=True)
class Engine:
    """All hosts. Calls are answered later, by `done` with None or the reason of a failure."""

    plan: Plan
    timeline: Timeline
    witness: Witness
    containers: dict[str, Container] = field(default_factory=dict)
    silent_until: dict[str, float] = field(default_factory=dict)
    hung_until: dict[str, float] = field(default_factory=dict)
    outage_until: float = 0.0
    fail_until: float = 0.0
    stuck_until: float = 0.0
    crash_until: float = 0.0
    dead_until: dict[str, float] = field(default_factory=dict)
    _ports: int = 10_000
    _calls: Counter[str] = field(default_factory=Counter)

    @property
    def hosts(self) -> tuple[str, ...]:
        return HOSTS[: self.plan.hosts]

    def silent(self, host: str) -> bool:
        """Whether a call of this host's engine fails."""
        now = self.timeline.now
        return self.silent_until.get(host, 0.0) > now or self.dead_until.get(host, 0.0) > now

    def _chance(self, name: str) -> float:
        """Another one for each call about a name."""
        self._calls[name] += 1
        return chance(self.plan.seed, name, self._calls[name])

    def start(self, scaler: str, placement: Placement, done: Callable[[str | None, str], None]) -> None:
        """Create and run a container; `done` gets the failure or None, and the url."""
        now, name, host = self.timeline.now, placement.name, placement.host
        luck = self._chance(name)
        if self.silent(host):
            self.timeline.after(CALL_TIMEOUT_S, lambda: done(f"no answer from {host}", ""))
            return
        self.witness.start_sent(scaler, name)
        if self.hung_until.get(host, 0.0) > now:
            # The call is given up by the caller; what it asked for may have been done all the same, or be done later.
            if luck < 0.6:
                self.timeline.after(CALL_TIMEOUT_S * 2 * luck, lambda: self._create_late(placement))
            self.timeline.after(CALL_TIMEOUT_S, lambda: done("the call timed out", ""))
            return
        if self.fail_until > now:
            self.timeline.after(START_S, lambda: done("image not found", ""))
            return

        def finish() -> None:
            url = self._create(placement)
            done(None if url else f"no answer from {host}", url)

        self.timeline.after(START_S * (0.5 + luck), finish)

    def _create_late(self, placement: Placement) -> None:
        self._create(placement)

    def _create(self, placement: Placement) -> str:
        now, name, host, kind = self.timeline.now, placement.name, placement.host, kind_of(placement.image)
        if self.silent(host):
            return ""
        there = self.containers.get(name)
        if there is not None:
            return there.url if there.runs(now) else ""
        self._ports += 1
        stuck, crash = self.stuck_until > now or kind == "stuck", self.crash_until > now or kind == "crash"
        boot_s = self.plan.boot_s * (0.5 + self._chance(name))
        late_s = LATE_S * (0.5 + self._chance(name)) if kind == "late" else NEVER
        self.containers[name] = Container(
            name,
            host,
            f"http://127.0.0.1:{self._ports}",
            now,
            ready_at=NEVER if stuck else now + boot_s,
            dead_at=now + (boot_s * 1.5 if crash else late_s),
            spec=placement.spec,
            image=placement.image,
        )
        return self.containers[name].url

    def stop(self, scaler: str, name: str, host: str, grace_s: float, done: Callable[[str | None], None]) -> None:
        """Signal, wait, kill, remove."""
        now = self.timeline.now
        if self.silent(host):
            self.timeline.after(CALL_TIMEOUT_S, lambda: done(f"no answer from {host}"))
            return
        container = self.containers.get(name)
        if container is None or container.host != host:
            self.timeline.after(CENSUS_S, lambda: done(None))
            return
        self.witness.stop_sent(scaler, container)
        hung, luck = self.hung_until.get(host, 0.0) > now, self._chance(name)
        if hung and luck < 0.5:
            self.timeline.after(CALL_TIMEOUT_S, lambda: done("the call timed out"))
            return
        container.ended = True

        def finish() -> None:
            if self.silent(host):
                done(f"no answer from {host}")
                return
            if self.containers.get(name) is container:
                del self.containers[name]
            done("the call timed out" if hung else None)

        self.timeline.after(grace_s * luck + CENSUS_S, finish)

    def count(self, done: Callable[[Census], None], asked_at: float) -> None:
        """What is there by labels, on the hosts that answer."""
        silent = {host for host in self.hosts if self.silent(host)}
        hung = any(self.hung_until.get(host, 0.0) > self.timeline.now for host in self.hosts)
        if hung:
            census = Census(asked_at, (), frozenset(), frozenset(self.hosts), ("the call timed out",))
            self.timeline.after(CALL_TIMEOUT_S, lambda: done(census))
        else:
            self.timeline.after(5.0 if silent else CENSUS_S, lambda: done(self._census(asked_at)))

    def _census(self, asked_at: float) -> Census:
        now = self.timeline.now
        answered = frozenset(host for host in self.hosts if not self.silent(host))
        found = tuple(
            Found(one.name, one.host, one.spec, one.url, running=True)
            if one.runs(now)
            else Found(one.name, one.host, one.spec, running=False, exit_code=1)
            for one in self.containers.values()
            if one.host in answered
        )
        return Census(asked_at, found, answered, frozenset(self.hosts))

    def resolve(self, image: str, done: Callable[[str], None]) -> None:
        """Find out whether there is such an image; `done` gets the reason where not, and else ""."""
        if self.silent(self.hosts[0]) or self.hung_until.get(self.hosts[0], 0.0) > self.timeline.now:
            self.timeline.after(CALL_TIMEOUT_S, lambda: done("the call timed out"))
        else:
            missing = f"{image} does not exist" if kind_of(image) == "missing" else ""
            self.timeline.after(START_S, lambda: done(missing))

    def probe(self, name: str) -> Outcome:
        """One readiness probe."""
        now, container = self.timeline.now, self.containers.get(name)
        if container is None or not container.listens(now):
            timeout = container is not None and container.ready_at == NEVER and container.runs(now)
            return Outcome.TIMED_OUT if timeout else Outcome.REFUSED
        if not container.answers(now):
            return Outcome.TIMED_OUT
        if now < self.outage_until or container.bad[0] <= now < container.bad[1]:
            return Outcome.BAD
        return Outcome.READY

    def reboot(self, host: str, lasts_s: float) -> None:
        """Lose every container of the host, and its engine for so long."""
        self.dead_until[host] = max(self.dead_until.get(host, 0.0), self.timeline.now + lasts_s)
        for name in [one.name for one in self.containers.values() if one.host == host]:
            del self.containers[name]
