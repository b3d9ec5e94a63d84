"""The workers that carry requests: the one that takes new ones, and those that it replaced and that still finish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.process import start_mark
from fleet.registry import BackendCounters
from haproxy.answers import (
    HELD,
    INFO,
    LOOKS,
    STAT_BACKEND,
    STAT_FRONTEND,
    STAT_SERVERS,
    Front,
    Info,
    ServerCounters,
    read_front,
    read_info,
    read_servers,
    read_variable,
)
from haproxy.config_file import ConfigFile
from haproxy.errors import HaproxyError
from haproxy.ledger import Ledger
from haproxy.render import Places
from haproxy.runtime_api import Link, RuntimeApi, WorkerByMaster, processes

if TYPE_CHECKING:
    from collections.abc import Iterator


# Who is held looks 20 times a second whether it may go: when nobody has looked for so long, nobody is held.
STALE_S = 2.0


@dataclass(slots=True)
class Seen:
    """One worker as it was last seen."""

    key: str
    pid: int
    link: Link
    front: Front
    held: int
    servers: dict[str, ServerCounters]
    looks: int = 0
    looked_at: float = 0.0

    @property
    def busy(self) -> bool:
        """Whether a client is still connected or a request under way."""
        return bool(self.front.connections or self.front.in_flight)

    @property
    def may_ask(self) -> bool:
        """Whether a client is connected that has nothing under way; its next request is taken."""
        return self.front.connections > self.front.in_flight

    def hold(self, told: int, looks: int, now: float) -> None:
        """Know how many are held: those that were told of last, unless all of them went away without a word."""
        if looks != self.looks:
            self.looks, self.looked_at = looks, now
        self.held = told if now < self.looked_at + STALE_S else 0


@dataclass(slots=True)
class Old:
    """A worker that was replaced. Until `settled_at` it may send new requests to `backends`, whatever is wanted."""

    seen: Seen
    backends: frozenset[str]
    settled_at: float


@dataclass(slots=True)
class Workers:
    """All workers of one HAProxy. Their counters go into the ledger with every look."""

    places: Places
    file: ConfigFile
    ledger: Ledger
    settle_s: float
    now: Callable[[], float]
    current: Seen | None = None
    old: list[Old] = field(default_factory=list)
    busy_slots: set[str] = field(default_factory=set)
    failed: Counter[str] = field(default_factory=Counter)

    async def begin(self) -> None:
        """Meet whoever runs already: those that were replaced, too, which only the master reaches."""
        with suppress(HaproxyError):
            await self._meet()
            for pid in (await processes(self.places.master)).old_workers:
                seen = await self._first_read(pid, WorkerByMaster(self.places.master, pid))
                self._record(seen)
                self._retired(seen)
        self.ledger.settle()

    async def look(self, *, detail: bool) -> bool:
        """Read every worker, the slots' counters only with `detail`; True where the current worker is another one.

        Raises HaproxyError while no worker takes new requests.
        """
        await self.read_on(detail=detail)
        if self.current is not None:
            return False
        await self._meet()
        return True

    async def read_on(self, *, detail: bool) -> None:
        """Read those that are known. Raises HaproxyError where the current one has ended."""
        for one in list(self.old):
            await self._look_at_old(one)
        if self.current is not None:
            await self._look_at_current(self.current, detail=detail)

    def retire(self) -> None:
        """The current worker was told to finish; it is read until it has."""
        if self.current is not None:
            self._retired(self.current)
            self.current = None

    def leaking(self, serving: frozenset[str]) -> bool:
        """Whether a worker that was replaced may still send a new request to a backend that serves no longer."""
        now = self.now()
        return any(one.seen.may_ask and now < one.settled_at and one.backends - serving for one in self.old)

    def hold(self, holders: dict[str, str]) -> None:
        """Who is on which slot of the current worker from now on."""
        if self.current is not None:
            self.ledger.workers[self.current.key].holders = holders

    @property
    def holders(self) -> dict[str, str]:
        """Who is on which slot of the current worker."""
        return dict(self.ledger.workers[self.current.key].holders) if self.current else {}

    @property
    def all(self) -> Iterator[Seen]:
        """The current one and the old ones."""
        if self.current is not None:
            yield self.current
        yield from (one.seen for one in self.old)

    def in_flight(self) -> Counter[str]:
        """Requests by backend, over all workers; without those at 0."""
        in_flight: Counter[str] = Counter()
        for seen in self.all:
            holders = self.ledger.workers[seen.key].holders
            for slot, counters in seen.servers.items():
                if counters.in_flight and slot in holders:
                    in_flight[holders[slot]] += counters.in_flight
        return in_flight

    def counters(self, in_flight: Counter[str]) -> dict[str, BackendCounters]:
        """By backend, over all workers; with what is in flight."""
        return {
            name: BackendCounters(
                one.arrivals, one.errors, one.refused, in_flight[name], one.total_ms, max(0, round(one.busy_ms))
            )
            for name, one in self.ledger.backends.items()
        }

    def close(self) -> None:
        """Let all of them go."""
        for seen in self.all:
            seen.link.close()

    async def _look_at_old(self, one: Old) -> None:
        seen = one.seen
        try:
            await self._read(seen, detail=True)
        except HaproxyError:
            self.old.remove(one)  # it has ended; what it counted so far stays counted
            return
        self._count(seen, detail=True)
        # It takes no one new and speaks to nobody but us: it has been read to the end.
        if seen.front.stopped and not seen.busy:
            seen.link.close()
            self.old.remove(one)

    async def _look_at_current(self, seen: Seen, *, detail: bool) -> None:
        try:
            await self._read(seen, detail=detail)
        except HaproxyError:
            self.current = None
            raise
        self._count(seen, detail=detail)
        if detail:
            self.busy_slots = {slot for slot in self.busy_slots if slot in seen.servers and not seen.servers[slot].idle}
        if seen.front.stopped:
            self.retire()

    def _retired(self, seen: Seen) -> None:
        backends = frozenset(self.ledger.workers[seen.key].holders.values())
        self.old.append(Old(seen, backends, self.now() + self.settle_s))

    async def _meet(self) -> None:
        link = RuntimeApi(self.places.stats)
        await link.open()
        try:
            info = read_info((await link.ask(INFO))[0])
            self._refuse_replaced(info)
            seen = await self._first_read(info.pid, link)
        except BaseException:
            link.close()
            raise
        self._record(seen)
        self.busy_slots = {slot for slot, counters in seen.servers.items() if not counters.idle}
        self.current = seen
        self._count(seen, detail=True)

    def _refuse_replaced(self, info: Info) -> None:
        """The socket leads to the former worker until the new one has bound it."""
        if info.stopping or any(one.seen.pid == info.pid for one in self.old):
            raise HaproxyError(f"{self.places.stats}: no new worker listens yet")

    def _record(self, seen: Seen) -> None:
        known = seen.key in self.ledger.workers
        worker = self.ledger.meet(seen.key, seen.front.totals, seen.servers)
        if not known:
            worker.holders = {slot.name: slot.holder for slot in self.file.slots() if slot.holder}

    def _count(self, seen: Seen, *, detail: bool) -> None:
        self.ledger.add_totals(seen.key, seen.front.totals)
        if detail:
            self.failed.update(self.ledger.add_servers(seen.key, seen.servers))

    async def _first_read(self, pid: int, link: Link) -> Seen:
        seen = Seen(_key(pid), pid, link, read_front(*await link.ask(STAT_FRONTEND, STAT_BACKEND)), 0, {})
        await self._read(seen, detail=True)
        return seen

    async def _read(self, seen: Seen, *, detail: bool) -> None:
        commands = [STAT_FRONTEND, STAT_BACKEND, HELD, LOOKS]
        frontend, backend, held, looks, *servers = await seen.link.ask(*commands, *([STAT_SERVERS] if detail else []))
        front = read_front(frontend, backend)
        if not servers and front.failures > seen.front.failures:
            servers = await seen.link.ask(STAT_SERVERS)
        seen.front = front
        seen.hold(read_variable(held), read_variable(looks), self.now())
        if servers:
            seen.servers = read_servers(servers[0])


def _key(pid: int) -> str:
    """A worker's name in the ledger. Where its process cannot be seen (in a container) the pid has to do."""
    return f"{pid}@{start_mark(pid) or ''}"
