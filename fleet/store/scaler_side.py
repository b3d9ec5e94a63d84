"""The acting scaler's side of the store: the lease, the publications, and what the proxies report."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import redis

from fleet.backend import Backend, Phase
from fleet.errors import RefusedError, StoreUnavailableError
from fleet.registry import LEASE_TTL_S, Lease, Memory, Order, Sighting, Summary
from fleet.release import Releases
from fleet.store.connection import TIMEOUT_S, close, reaching, wrong_type
from fleet.store.definitions import read_releases, release_fields
from fleet.store.fields import (
    COUNT_LIMIT,
    EVENT_FIELDS,
    EVENTS_KEPT,
    SERIAL_LIMIT,
    happening_fields,
    number,
    read_order,
    read_summary,
    summary_fields,
    text,
)
from fleet.store.keys import Keys
from fleet.store.scripts import source
from fleet.store.sightings import SightingReader
from fleet.store.snapshots import SnapshotReader
from fleet.store.strangers import Strangers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fleet.registry import Change, Happening

SCALERS_KEPT_S = 3600
# Of what a stranger overwrote, so much is named.
SHOWN = 5
EVENT_WIDTH = 2 * len(EVENT_FIELDS)
# How long after `close` a waiting `wakes` may notice; a connection is tried by a ping after so many such waits.
WAKE_WAIT_S = 0.25
WAKE_WAITS_PER_PING = 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Written:
    """What this scaler published last, so that the next change need only send what differs."""

    generation: str
    backends: Mapping[str, Backend]
    releases: Releases | None = None

    @cached_property
    def entries(self) -> Mapping[bytes, bytes]:
        """The backends as they stand in the store; kept, because they are compared again and again."""
        return {name.encode(): backend.to_json().encode() for name, backend in self.backends.items()}


@dataclass(slots=True)
class RedisRegistry:
    """Implements Registry and Meter on a Redis server. One thread at a time, except for `wakes` and `close`."""

    client: redis.Redis
    shown: str
    keys: Keys
    snapshots: SnapshotReader
    _written: Written | None = None
    _members: tuple[bytes, ...] = ()
    _ignored: frozenset[str] = frozenset()
    _closed: threading.Event = field(default_factory=threading.Event)
    _lease: Lease | None = None
    _sightings: SightingReader = field(init=False)
    _strangers: Strangers = field(init=False)
    _scripts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sightings = SightingReader(self.client, self.keys)
        self._strangers = Strangers(self.client, self.keys)

    def acquire(self, scaler: str) -> Lease | None:
        """Take the lease, or None while another holds it. Also records that this scaler lives."""
        keys = self.keys
        reply = self._run(
            "acquire", [keys.lease, keys.token, keys.scalers], [scaler, int(LEASE_TTL_S * 1000), SCALERS_KEPT_S]
        )
        if not reply:
            return None
        self._written = None
        self._strangers.meet(reply[2:])
        self._lease = Lease(scaler, int(reply[0]), LEASE_TTL_S, settled=bool(reply[1]))
        return self._lease

    def renew(self, lease: Lease) -> bool:
        """Prolong the lease by its ttl; False when it is no longer this holder's."""
        arguments = [_held(lease), int(lease.ttl_s * 1000), lease.scaler]
        return self._done(self._run("renew", [self.keys.lease, self.keys.scalers], arguments))

    def release(self, lease: Lease) -> None:
        """Give the lease back, so that another need not wait for its end."""
        self._run("release", [self.keys.lease, self.keys.scalers], [_held(lease), lease.scaler])

    def publish(self, lease: Lease, change: Change) -> int:
        """Write one change atomically and return its generation. Raises RefusedError without the lease."""
        before, self._written = self._written, None
        while True:
            verdict, *details = self._publish(lease, change, before)
            match verdict:
                case b"published":
                    self._written = Written(text(details[0]), dict(change.backends), change.releases)
                    self._strangers.meet(details[1:])
                    return int(details[0])
                case b"everything":
                    before = None
                case b"proxies":
                    self._members = tuple(details)
                case _:
                    raise RefusedError(f"the lease is not (or no longer) {_held(lease)}'s; nothing was published")

    def _publish(self, lease: Lease, change: Change, before: Written | None) -> list[bytes]:
        keys, old = self.keys, before.backends if before else {}
        entries = [
            part
            for name, backend in change.backends.items()
            if old.get(name) != backend
            for part in (name, backend.to_json())
        ]
        removed = [name for name in old if name not in change.backends]
        summary = summary_fields(change.summary, lease.scaler)
        serving = _serving(change.backends)
        base = (before.generation, len(old)) if before else ("", 0)
        numbers = [*base, serving, change.serial, change.after]
        head = [_held(lease), keys.changes, EVENTS_KEPT, EVENT_WIDTH, keys.proxy_prefix, *numbers]
        known = before is not None and before.releases == change.releases
        releases = [] if known else release_fields(change.releases)
        lists = [len(summary), *summary, len(entries), *entries, len(removed), *removed, len(releases), *releases]
        fixed = [keys.lease, keys.backends, keys.instances, keys.generation, keys.serial, keys.scaler, keys.events]
        prefix = keys.proxy_prefix.encode()
        proxies = [keys.orders, keys.proxies, keys.definition, *(prefix + member for member in self._members)]
        reply: list[bytes] = self._run(
            "publish", [*fixed, *proxies], [*head, *lists, *happening_fields(change.happenings)]
        )
        return reply

    def overwritten(self) -> str:
        """What strangers wrote over our keys since the last time, in one line; "" where all is as it was written."""
        with reaching(self.shown):
            differing = self._differing_keys()
            self._mend()
            self._strangers.meet(self._sightings.met)
            self._sightings.met.clear()
            met = self._strangers.told()
        told = [f"not as it was published: {', '.join(differing[:SHOWN])}"] if differing else []
        return "; ".join([*told, *met[:SHOWN]])

    def _mend(self) -> None:
        lease, keys = self._lease, self.keys
        if lease is not None:
            mended = [keys.lease, keys.token, keys.scalers, keys.proxies, keys.lasting, keys.events]
            self._done(self._run("mend", mended, [_held(lease), lease.token]))

    def _differing_keys(self) -> list[str]:
        """Of the last publication; the next one sends everything where there are any."""
        before = self._written
        if before is None:
            return []
        pipeline = self.client.pipeline(transaction=True)
        for command in self.snapshots.wanted:
            pipeline.execute_command(*command)
        pipeline.type(self.keys.orders)
        pipeline.execute_command("GET", self.keys.serial)
        pipeline.execute_command("HGETALL", self.keys.definition)
        *found, orders, serial, definition = pipeline.execute(raise_on_error=False)
        differing = [key for key, kept in zip(self._registry_keys, found, strict=True) if wrong_type(kept)]
        if not differing:
            differing = self._differing(before, *found)
        # A larger serial than ours is kept, so that only what is none differs.
        if wrong_type(serial) or number(serial, SERIAL_LIMIT) is None:
            differing.append(self.keys.serial)
        if before.releases is not None and not _holds(definition, release_fields(before.releases)):
            differing.append(self.keys.definition)
        differing += self._lost_orders(orders)
        if differing:
            self._written = None
        return differing

    def _lost_orders(self, kind: object) -> list[str]:
        """What to say of the orders where they are no stream; whatever is published as a whole makes way for one."""
        lost = kind not in {b"stream", b"none"}
        return [f"{self.keys.orders}: must be a stream, was a {text(kind)}: the orders in it are lost"] if lost else []

    @property
    def _registry_keys(self) -> tuple[str, str, str]:
        return self.keys.generation, self.keys.instances, self.keys.backends

    def _differing(self, before: Written, generation: object, instances: object, backends: Any) -> list[str]:  # noqa: ANN401
        serving, wanted = _serving(before.backends), before.entries
        single = zip(self._registry_keys, (generation, instances), (before.generation, str(serving)), strict=False)
        differing = [key for key, kept, told in single if text(kept) != told]
        if wanted == backends:
            return differing
        return differing + [
            f"{self.keys.backends} {text(name)[:80]!r}"
            for name in sorted(wanted.keys() | backends.keys())
            if wanted.get(name) != backends.get(name)
        ]

    def summarise(self, lease: Lease, summary: Summary) -> None:
        """Refresh what status shows, without a new generation. Raises RefusedError without the lease."""
        arguments = [_held(lease), *summary_fields(summary, lease.scaler)]
        self._fenced("summarise", lease, [self.keys.lease, self.keys.scaler], arguments)

    def record(self, lease: Lease, happenings: Sequence[Happening]) -> None:
        """Append to the history without a new generation. Raises RefusedError without the lease."""
        arguments = [_held(lease), EVENTS_KEPT, EVENT_WIDTH, *happening_fields(happenings)]
        self._fenced("record", lease, [self.keys.lease, self.keys.events], arguments)

    def recall(self) -> Memory:
        """What is stored of the fleet and of the orders in force."""
        with reaching(self.shown):
            pipeline = self.client.pipeline(transaction=True)
            for command in (*self.snapshots.wanted, ("GET", self.keys.serial), ("HGETALL", self.keys.scaler)):
                pipeline.execute_command(*command)
            pipeline.execute_command("HGETALL", self.keys.definition)
            pipeline.type(self.keys.orders)
            *registry, serial, scaler, definition, orders = pipeline.execute(raise_on_error=False)
            snapshot, faults = self.snapshots.read(*registry), list(self.snapshots.fault(registry[0]))
            last = None if wrong_type(serial) else number(serial, SERIAL_LIMIT)
            if last is None and serial is not None:
                faults.append(f"{self.keys.serial}: must be a whole number below {SERIAL_LIMIT:.0e}")
            if wrong_type(scaler):
                faults.append(f"{self.keys.scaler}: must be a hash, is of another type")
                scaler = {}
            if wrong_type(definition):
                faults.append(f"{self.keys.definition}: must be a hash, is of another type")
                definition = {}
            releases, wrong = read_releases(self.keys.definition, definition)
            faults += wrong
            faults += self._lost_orders(orders)
        summary = read_summary(scaler) or Summary("", 0)
        return Memory(
            snapshot=snapshot,
            serial=last or 0,
            paused=summary.paused,
            manual=summary.manual,
            desired=number(scaler.get(b"desired"), COUNT_LIMIT),
            last_order=summary.last_order,
            faults=tuple(faults),
            releases=releases,
        )

    def orders(self, after: str) -> Sequence[Order]:
        """Orders placed after the one of that id, oldest first; "" begins at the oldest kept."""
        with reaching(self.shown):
            replies = self.client.pipeline(transaction=False)
            replies.execute_command("XRANGE", self.keys.orders, f"({after}" if after else "-", "+")
            [entries] = replies.execute(raise_on_error=False)
            if wrong_type(entries):
                return ()
        orders: list[Order] = []
        ignored: dict[str, str] = {}
        for entry_id, fields in entries:
            try:
                orders.append(read_order(entry_id, fields))
            except ValueError as error:
                ignored[text(entry_id)] = str(error)
        for entry_id in sorted(ignored.keys() - self._ignored):
            log.warning("ignored: %s", ignored[entry_id])
            self._strangers.meet([f"{self.keys.orders}: ignored {ignored[entry_id]}"])
        self._ignored = frozenset(ignored)
        return tuple(orders)

    def sight(self, *, detail: bool, outcomes: bool = False) -> Sighting:
        """Every proxy's counters, without their `backends`; with `detail` what those add up to.

        Raises StoreUnavailableError.
        """
        with reaching(self.shown):
            return self._sightings.read(detail=detail, outcomes=outcomes)

    def forget(self, lease: Lease, proxy: str) -> None:
        """Drop a silent proxy's entry: nothing waits for it any longer. Raises RefusedError without the lease."""
        self._list("forget", lease, proxy)

    def remember(self, lease: Lease, proxy: str, *, lasting: bool) -> None:
        """List a silent proxy that the store lost; `lasting`: it outlives its agent. Raises RefusedError likewise."""
        self._list("remember", lease, proxy, int(lasting))

    def _list(self, script: str, lease: Lease, proxy: str, *more: int) -> None:
        keys = [self.keys.lease, self.keys.proxies, self.keys.lasting]
        self._fenced(script, lease, keys, [_held(lease), proxy, *more])

    def wakes(self) -> Iterator[None]:
        """Yield whenever a proxy holds its first request or an order was placed; ends after `close`.

        Blocks, so it belongs into a thread of its own. Raises StoreUnavailableError when the connection breaks.
        """
        with reaching(self.shown), self.client.pubsub() as subscription:
            subscription.subscribe(self.keys.wake)
            quiet = 0
            while not self._closed.is_set():
                message = subscription.get_message(timeout=WAKE_WAIT_S)
                quiet = 0 if message else quiet + 1
                if message and message["type"] == "message":
                    yield
                elif quiet == WAKE_WAITS_PER_PING:
                    subscription.ping()
                elif quiet > WAKE_WAITS_PER_PING + TIMEOUT_S / WAKE_WAIT_S:
                    raise StoreUnavailableError(f"Redis at {self.shown}: unreachable: no answer to a ping")

    def close(self) -> None:
        """End `wakes` and let the connections go."""
        self._closed.set()
        close(self.client)

    def _fenced(self, script: str, lease: Lease, keys: list[str], arguments: list[Any]) -> None:
        if not self._done(self._run(script, keys, arguments)):
            raise RefusedError(f"the lease is not (or no longer) {_held(lease)}'s; nothing was written")

    def _done(self, reply: list[object]) -> bool:
        """Whether a script was let through; what it met is told later."""
        self._strangers.meet(reply[1:])
        return bool(reply)

    def _run(self, script: str, keys: list[Any], arguments: list[Any]) -> Any:  # noqa: ANN401  # a script's reply
        if script not in self._scripts:
            self._scripts[script] = self.client.register_script(source(script))
        with reaching(self.shown):
            return self._scripts[script](keys, arguments)


def _holds(kept: object, fields: Sequence[str]) -> bool:
    """Whether a hash is the one of these fields and values by turns."""
    return kept == {name.encode(): value.encode() for name, value in zip(fields[::2], fields[1::2], strict=True)}


def _serving(backends: Mapping[str, Backend]) -> int:
    return sum(backend.phase is Phase.SERVING for backend in backends.values())


def _held(lease: Lease) -> str:
    return f"{lease.scaler}:{lease.token}"
