"""Getting what apps kept of crashes: of each request that is known to have failed, and now and then whatever waits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from fleet.backend import Phase, backend_address
from fleet.crash import Uncaptured
from haproxy.app_profiles import AppProfiles, NotAnsweredError, Waiting
from haproxy.crash_record import CrashRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.backend import Network
    from fleet.crash import Failure
    from fleet.registry import Snapshot

# A profile that is not there yet is asked for again after these; two seconds in all.
PAUSES_S = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7)
SWEEP_S = 10.0
UNSERVED_S = 60.0
LOOK_S = 0.5
MOST_ASKED_A_LOOK = 10
# What nobody here knows of may be another plane's, which comes for it in this time.
OTHERS_S = 3.0
MOST_CHASES = 64
UNREACHED = "the request did not reach the app"
UNSERVED = "the app serves no profiles; it needs the middleware, with the same token"
NOTHING = "the app kept nothing of it"


@dataclass(frozen=True, slots=True)
class Instance:
    """One that may have something. `leaving`: it will not have it for long."""

    name: str
    url: str
    place: tuple[str, int]
    leaving: bool


def instances_of(snapshot: Snapshot, networks: Sequence[Network]) -> dict[str, Instance]:
    """All that serve or drain, by name; an address that gets no requests is not asked either."""
    found = {}
    for name, backend in snapshot.backends.items():
        if backend.phase in (Phase.SERVING, Phase.DRAINING):
            with suppress(ValueError):
                place = backend_address(name, backend.url, networks)
                found[name] = Instance(name, str(backend.url), place, backend.phase is Phase.DRAINING)
    return found


@dataclass(slots=True)
class Hunt:
    """`run` asks; the other methods say about whom."""

    apps: AppProfiles
    record: CrashRecord
    _instances: Mapping[str, Instance] = field(default_factory=dict)
    _group: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)
    _chased: set[str] = field(default_factory=set)
    _serves: set[str] = field(default_factory=set)
    _unserved_until_s: dict[str, float] = field(default_factory=dict)
    _due_s: dict[str, float] = field(default_factory=dict)
    _urgent: set[str] = field(default_factory=set)
    _asked: set[str] = field(default_factory=set)

    def know(self, instances: Mapping[str, Instance]) -> None:
        """These are there now."""
        later = monotonic() + SWEEP_S
        self._due_s = {name: self._due_s.get(name, later) for name in instances}
        for one in instances.values():
            before = self._instances.get(one.name)
            if one.leaving and before is not None and not before.leaving:
                self.look_soon(one.name)
        self._instances = instances
        self._serves &= instances.keys()

    def look_soon(self, name: str) -> None:
        """Something failed there."""
        if name in self._due_s and monotonic() >= self._unserved_until_s.get(name, 0.0):
            self._due_s[name] = 0.0
            self._urgent.add(name)

    def follow(self, failures: Sequence[tuple[Failure, bool]]) -> None:
        """These failed and are written down; with each whether it was sent to its instance."""
        missing = []
        for failure, sent in failures:
            instance = self._instances.get(failure.backend)
            if not sent or instance is None:
                missing.append(Uncaptured(failure.id, UNREACHED))
            elif monotonic() < self._unserved_until_s.get(instance.name, 0.0):
                missing.append(Uncaptured(failure.id, UNSERVED))
            elif len(self._chased) < MOST_CHASES:
                self._chased.add(failure.id)
                self._group.create_task(self._chase(instance, failure))
            else:
                self.look_soon(instance.name)  # finds many in one go
        if missing:
            self._group.create_task(self.record.uncaptured(missing))

    async def run(self) -> None:
        """Ends only by being cancelled."""
        async with self._group:
            while True:
                await asyncio.sleep(LOOK_S)
                now = monotonic()
                due = [name for name, at in self._due_s.items() if at <= now and name not in self._asked]
                for name in due[:MOST_ASKED_A_LOOK]:
                    self._due_s[name] = now + SWEEP_S
                    self._asked.add(name)
                    self._group.create_task(self._look(self._instances[name]))

    async def _chase(self, instance: Instance, failure: Failure) -> None:
        reason = NOTHING
        try:
            for pause_s in PAUSES_S:
                await asyncio.sleep(pause_s)
                try:
                    if await self._fetched(instance, failure.id, failure):
                        return
                    if instance.name not in self._serves and await self._listed(instance) is None:
                        reason = UNSERVED
                        break
                except NotAnsweredError as error:
                    reason = str(error)
            await self.record.uncaptured([Uncaptured(failure.id, reason)])
        finally:
            self._chased.discard(failure.id)

    async def _look(self, instance: Instance) -> None:
        urgent = instance.name in self._urgent
        self._urgent.discard(instance.name)
        try:
            listed = await self._listed(instance)
            for one in listed or ():
                if one.id not in self._chased and (urgent or instance.leaving or one.age_s >= OTHERS_S):
                    await self._fetched(instance, one.id, None)
            if listed and len(listed) > MOST_CHASES:
                self.look_soon(instance.name)
        except NotAnsweredError:
            pass  # it may have ended; the next sweep asks again
        finally:
            self._asked.discard(instance.name)

    async def _listed(self, instance: Instance) -> tuple[Waiting, ...] | None:
        listed = await self.apps.waiting(instance.url)
        if listed is None:
            now = monotonic()
            if not any(until > now for until in self._unserved_until_s.values()):
                self.record.say("no profiles", backend=instance.name, reason=UNSERVED)
            self._unserved_until_s[instance.name] = self._due_s[instance.name] = now + UNSERVED_S
            self._serves.discard(instance.name)
        else:
            self._serves.add(instance.name)
        return listed

    async def _fetched(self, instance: Instance, crash_id: str, failure: Failure | None) -> bool:
        raw = await self.apps.fetch(instance.url, crash_id)
        if raw is None:
            return False
        await self.record.keep(crash_id, instance.name, raw, failure)
        # What could not be removed goes by itself, in ten minutes.
        with suppress(NotAnsweredError):
            await self.apps.done(instance.url, crash_id)
        return True
