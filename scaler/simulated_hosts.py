"""The hosts of a simulated run: what runs where, when it is ready, how it answers a probe."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from scaler.course import Course, within
from scaler.messages import Census, Found, Outcome, Placement

NEVER = float("inf")
FIRST_PORT = 10_000


@dataclass(slots=True)
class SimulatedHosts:
    """The truth that a scaler finds out by censuses and probes; it outlives the scaler."""

    course: Course
    _found: dict[str, Found] = field(default_factory=dict)
    _ready_at: dict[str, float] = field(default_factory=dict)
    _ends_at: dict[str, float] = field(default_factory=dict)
    _stops: dict[str, int] = field(default_factory=dict)

    def start(self, placement: Placement, now: float) -> str:
        """The url of the started instance. Raises RuntimeError where it cannot be started."""
        name, host, image, faults = placement.name, placement.host, placement.image, self.course.faults
        if name in faults.unstartable:
            raise RuntimeError("image not found")
        if self._silent(host, now):
            raise RuntimeError(f"no answer from {host}")
        url = f"http://127.0.0.1:{FIRST_PORT + len(self._ready_at)}"
        stuck = name in faults.stuck or image in faults.stuck_images
        self._ready_at[name] = NEVER if stuck else now + self.course.boot_s
        self._ends_at[name] = faults.crashes.get(name, now + faults.exiting_images.get(image, NEVER))
        self._found[name] = Found(name, host, placement.spec, url)
        return url

    def stop(self, name: str, host: str, now: float) -> None:
        """Remove the instance. Raises RuntimeError where it may still be there."""
        self._stops[name] = self._stops.get(name, 0) + 1
        if self._silent(host, now):
            raise RuntimeError(f"no answer from {host}")
        if name in self.course.faults.unstoppable and self._stops[name] == 1:
            raise RuntimeError("the engine is busy")
        self._found.pop(name, None)

    def dead(self, name: str, now: float) -> bool:
        """Whether connections to it are refused although it was started."""
        return name not in self._found or self._ends_at[name] <= now

    def census(self, now: float) -> Census:
        """What is there on the hosts that answer."""
        hosts = frozenset(self.course.hosts)
        answered = frozenset(host for host in hosts if not self._silent(host, now))
        found = tuple(
            replace(item, running=False, exit_code=1) if self.dead(item.name, now) else item
            for item in self._found.values()
            if item.host in answered
        )
        return Census(now, found, answered, hosts)

    def answer(self, name: str, now: float) -> tuple[Outcome, str]:
        """How it answers a probe."""
        begin, end = self.course.faults.sick.get(name, (NEVER, NEVER))
        if self.dead(name, now):
            return Outcome.REFUSED, "connection refused"
        if self._ready_at[name] == NEVER:
            return Outcome.TIMED_OUT, "no answer within 2 s"
        if now < self._ready_at[name]:
            return Outcome.REFUSED, "connection refused"
        if begin <= now < end:
            return Outcome.BAD, "status 500"
        return Outcome.READY, ""

    def next_change(self, name: str, now: float) -> float | None:
        """When it will answer otherwise than now, as far as that is fixed."""
        faults = self.course.faults
        times = (
            self._ready_at.get(name, NEVER),
            self._ends_at.get(name, NEVER),
            *faults.sick.get(name, (NEVER, NEVER)),
        )
        return min((at for at in times if now < at < NEVER), default=None)

    def _silent(self, host: str, now: float) -> bool:
        return any(name == host and within(now, (span,)) for name, span in self.course.faults.host_silent)


def spec_of(image: str, configured: str) -> str:
    """The spec of the definition with that image, "" being the configured one."""
    return hashlib.sha256(image.encode()).hexdigest()[:12] if image else configured
