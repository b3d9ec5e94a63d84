"""The dry run, as a composition: real counters, a registry in memory, hands that only pretend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fleet.backend import ORDERED, Phase
from scaler.actuators.actuator import Removed, Started
from scaler.messages import Census, Found, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fleet.memory import MemoryStore
    from fleet.registry import Change, Happening, Lease, Memory, Order, Sighting, Snapshot, Summary
    from fleet.settings import InstanceSettings
    from scaler.actuators.actuator import StartOrder
    from scaler.live import Store

PRETENDED_URL = "http://127.0.0.1:1"


class ShadowStore:
    """A Store that reads the real one and writes only to memory, so that the fleet never notices."""

    def __init__(self, real: Store, memory: MemoryStore) -> None:
        self._real = real
        self._memory = memory

    def acquire(self, scaler: str) -> Lease | None:
        """A lease that nobody contests."""
        lease = self._memory.acquire(scaler)
        return replace(lease, settled=True) if lease else None

    def renew(self, lease: Lease) -> bool:
        """As the memory does."""
        return self._memory.renew(lease)

    def release(self, lease: Lease) -> None:
        """As the memory does."""
        self._memory.release(lease)

    def publish(self, lease: Lease, change: Change) -> int:
        """Into memory."""
        return self._memory.publish(lease, change)

    def overwritten(self) -> str:
        """As the memory does."""
        return self._memory.overwritten()

    def summarise(self, lease: Lease, summary: Summary) -> None:
        """Into memory."""
        self._memory.summarise(lease, summary)

    def record(self, lease: Lease, happenings: Sequence[Happening]) -> None:
        """Into memory."""
        self._memory.record(lease, happenings)

    def recall(self) -> Memory:
        """The real registry at first, the memory from the first publication on."""
        memory = self._memory.recall()
        return memory if memory.snapshot is not None else self._real.recall()

    def orders(self, after: str) -> Sequence[Order]:
        """The real orders; the acting scaler carries them out."""
        return self._real.orders(after)

    def sight(self, *, detail: bool, outcomes: bool = False) -> Sighting:
        """The real counters, of proxies that would have applied what this run pretends."""
        sighting = self._real.sight(detail=detail, outcomes=outcomes)
        snapshot = self._memory.recall().snapshot
        generation = snapshot.generation if snapshot else 0
        return replace(
            sighting, readings=tuple(replace(reading, generation=generation) for reading in sighting.readings)
        )

    def forget(self, lease: Lease, proxy: str) -> None:
        """Leave the real entry alone."""

    def remember(self, lease: Lease, proxy: str, *, lasting: bool) -> None:
        """Leave the real entries alone."""

    def wakes(self) -> Iterator[None]:
        """The real wakes."""
        return self._real.wakes()

    def close(self) -> None:
        """Let the real connection go."""
        self._real.close()


@dataclass(slots=True)
class ShadowActuator:
    """An Actuator that starts nothing and says it did."""

    now: Callable[[], float]
    _there: dict[str, Found] = field(default_factory=dict)
    batches: bool = False

    def adopt(self, snapshot: Snapshot) -> None:
        """Pretend that what the registry lists is what runs."""
        for backend in snapshot.backends.values():
            if backend.phase in ORDERED or backend.phase is Phase.SERVING:
                url = backend.url or PRETENDED_URL
                self._there[backend.name] = Found(backend.name, backend.host, backend.spec, url)

    def start(self, orders: Sequence[StartOrder]) -> list[Started]:
        """Say yes."""
        for order in orders:
            self._there[order.name] = Found(order.name, order.host, order.spec, PRETENDED_URL)
        return [Started(order.name, PRETENDED_URL, order.host) for order in orders]

    def resolve(self, definition: InstanceSettings) -> str:
        """Say that it is there."""
        return definition.image

    def stop(self, name: str, host: str, grace_s: float) -> Removed:
        """Say yes."""
        del host, grace_s
        self._there.pop(name, None)
        return Removed()

    def running(self) -> Census:
        """What would be there."""
        hosts = frozenset({"local", *(item.host for item in self._there.values())})
        return Census(self.now(), tuple(self._there.values()), answered=hosts, hosts=hosts)


class ShadowProber:
    """A Prober for which everything is ready at once."""

    def __init__(self, report: Callable[[str, Outcome, str], None]) -> None:
        self._report = report

    def start(self) -> None:
        """Nothing to begin."""

    def close(self) -> None:
        """Nothing to end."""

    def set_targets(self, targets: Iterable[tuple[str, str, float]]) -> None:
        """Say that each is ready."""
        for name, _, _ in targets:
            self._report(name, Outcome.READY, "")
