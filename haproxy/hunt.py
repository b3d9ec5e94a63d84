"""Getting what apps kept of crashes: of each request that is known to have failed, and now and then whatever waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from fleet.backend import Phase, backend_address
from fleet.clock import Clock
from fleet.crash import Failure, Uncaptured
from fleet.crash_journal import Journal
from fleet.crash_packing import Packer
from fleet.crash_told import Found
from fleet.profile_client import NOTHING, UNSERVED, NotHadError, ProfileClient, Waiting
from haproxy.crash_record import PLANE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.backend import Network
    from fleet.registry import Snapshot

# A profile that is not there yet is asked for again after these; two seconds in all.
PAUSES_S = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7)
SWEEP_S = 10.0
UNSERVED_S = 60.0
LOOK_S = 0.5
MOST_ASKED_A_LOOK = 10
# What nobody here knows of may be another plane's, which comes for it in this time.
OTHERS_S = 3.0
# Of 8 MB each at most.
MOST_CHASES = 16
PACE_S = 0.02


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
    """`run` asks; the other methods say about whom. `say` tells a person one thing."""

    client: ProfileClient
    packer: Packer
    journal: Journal
    proxy: str
    clock: Clock
    say: Callable[..., None]
    kept: int = 0
    _instances: Mapping[str, Instance] = field(default_factory=dict)
    _group: asyncio.TaskGroup | None = None
    _early: list[Failure] = field(default_factory=list)
    _chased: set[str] = field(default_factory=set)
    _serves: set[str] = field(default_factory=set)
    _unserved_until_s: dict[str, float] = field(default_factory=dict)
    _due_s: dict[str, float] = field(default_factory=dict)
    _urgent: set[str] = field(default_factory=set)
    _asked: set[str] = field(default_factory=set)

    def know(self, instances: Mapping[str, Instance]) -> None:
        """These are there now."""
        later, before, self._instances = monotonic() + SWEEP_S, self._instances, instances
        self._due_s = {name: self._due_s.get(name, later) for name in instances}
        self._serves &= instances.keys()
        for one in instances.values():
            if one.leaving and one.name in before and not before[one.name].leaving:
                self.look_soon(one.name)

    def look_soon(self, name: str) -> None:
        """Something failed there."""
        if name in self._due_s and not self._is_unserved(name):
            self._due_s[name] = 0.0
            self._urgent.add(name)

    def follow(self, failure: Failure) -> None:
        """This failed, and has been noted."""
        instance = self._instances.get(failure.backend)
        if self._group is None:
            self._early.append(failure)
        elif instance is None:
            self._miss(failure.id, "the instance has left")
        elif self._is_unserved(instance.name):
            self._miss(failure.id, UNSERVED)
        elif len(self._chased) < MOST_CHASES:
            self._chased.add(failure.id)
            self._group.create_task(self._chase(instance, failure))
        else:
            self.look_soon(instance.name)  # finds many in one go

    async def run(self) -> None:
        """Ends only by being cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for failure in self._early:
                self.follow(failure)
            self._early.clear()
            while True:
                await asyncio.sleep(LOOK_S)
                now = monotonic()
                due = [name for name, at in self._due_s.items() if at <= now and name not in self._asked]
                for name in due[:MOST_ASKED_A_LOOK]:
                    self._due_s[name] = now + SWEEP_S
                    self._asked.add(name)
                    group.create_task(self._look(self._instances[name]))

    async def _chase(self, instance: Instance, failure: Failure) -> None:
        reason = NOTHING
        try:
            for pause_s in PAUSES_S:
                await asyncio.sleep(pause_s)
                raw = await self.client.document(instance.url, failure.id)
                if raw is not None:
                    await self._keep(instance, failure.id, raw, failure)
                    return
                if instance.name not in self._serves and await self._listed(instance) is None:
                    reason = UNSERVED
                    break
        except NotHadError as error:
            reason = str(error)
        finally:
            self._chased.discard(failure.id)
        self._miss(failure.id, reason)

    async def _look(self, instance: Instance) -> None:
        urgent = instance.leaving or instance.name in self._urgent
        self._urgent.discard(instance.name)
        try:
            listed = await self._listed(instance) or ()
            wanted = [one.id for one in listed if one.id not in self._chased and (urgent or one.age_s >= OTHERS_S)]
            for crash_id in wanted:
                raw = await self.client.document(instance.url, crash_id)
                if raw is not None:
                    await self._keep(instance, crash_id, raw, None)
                await asyncio.sleep(PACE_S)
            if wanted:
                self.look_soon(instance.name)
        except NotHadError:
            return  # it may have ended; the next sweep asks again
        finally:
            self._asked.discard(instance.name)

    async def _listed(self, instance: Instance) -> tuple[Waiting, ...] | None:
        listed = await self.client.waiting(instance.url)
        if listed is None:
            if not any(map(self._is_unserved, self._instances)):
                self.say("no profiles", backend=instance.name, reason=UNSERVED)
            self._unserved_until_s[instance.name] = self._due_s[instance.name] = monotonic() + UNSERVED_S
            self._serves.discard(instance.name)
        else:
            self._serves.add(instance.name)
        return listed

    async def _keep(self, instance: Instance, crash_id: str, raw: bytes, failure: Failure | None) -> None:
        """Without `failure` nobody here knew of it, and the app's word stands."""
        try:
            known = failure or Found(self.clock.now(), PLANE, self.proxy, instance.name)
            packed = await self.packer.packed(raw, crash_id, known)
        except ValueError as error:
            self.say("what an app gave as a profile is not used", backend=instance.name, id=crash_id, error=str(error))
            self._miss(crash_id, str(error))
        else:
            if failure is None:
                self.journal.note(packed.failure)
            await self.journal.keep(packed.capture, packed.content)
            self.kept += 1
        with suppress(NotHadError):  # the app forgets it by itself, later
            await self.client.remove(instance.url, crash_id)

    def _miss(self, crash_id: str, reason: str) -> None:
        self.journal.note(Uncaptured(crash_id, reason))

    def _is_unserved(self, name: str) -> bool:
        return monotonic() < self._unserved_until_s.get(name, 0.0)
