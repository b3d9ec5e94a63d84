"""What the parts ask of the shared store, in the words of the domain: who acts, what is there, what proxies saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from fleet.backend import Backend
from fleet.release import Releases

# A holder that does not renew for so long has lost the lease; a proxy that does not report for so long is silent.
LEASE_TTL_S = 4.0
PROXY_TTL_S = 5.0
# A generation is a time in ms, or a little more. A proxy may report a later one than this; nobody counts on from it.
REPORTED_LIMIT = 10**14


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act, given to one scaler at a time.

    `token` grows with every holder. `settled` is False where the store remembered no token of this very server: the
    holder then waits one `ttl_s` before its first act, because an earlier holder may still believe in its own lease.
    """

    scaler: str
    token: int
    ttl_s: float
    settled: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The registry as one generation of it. `faults` names the entries that could not be believed, one line each."""

    generation: int
    backends: Mapping[str, Backend]
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the fleet's history: a transition, a decision that changed something, a fault, an order."""

    at: float
    kind: str
    subject: str = ""
    before: str = ""
    after: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SetStanding:
    """What finished in one of two sets since the canary began, as far as the acting scaler saw it."""

    finished: int = 0
    errors: int = 0
    mean_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class CanaryStanding:
    """A canary as people see it.

    `wanted` and `share` are in per cent, the latter what the weights give now. `errors` and `times` tell how far the
    evidence against it is on the way to a cut, from 0 to 1; times count only while it is `warm`.
    """

    release: str
    spec: str
    wanted: int
    share: float = 0.0
    sticky: bool = False
    since: float = 0.0
    serving: int = 0
    deaths: int = 0
    canary: SetStanding = field(default_factory=SetStanding)
    stable: SetStanding = field(default_factory=SetStanding)
    errors: float = 0.0
    times: float = 0.0
    warm: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """What the scaler last saw and decided, as people and `stoker status` read it.

    `last_order` is the id of the newest order that was carried out, so that a restart begins after it. `minimum` is in
    force now; `schedule` is the one that gives it, "" where the settings' own does.
    """

    state: str
    desired: int
    rps: float | None = None
    in_flight: int | None = None
    held: int | None = None
    reasons: tuple[str, ...] = ()
    paused: bool = False
    manual: int | None = None
    last_order: str = ""
    canary: CanaryStanding | None = None
    minimum: int | None = None
    schedule: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One atomic publication. Backends in `backends` replace the stored set; `serial` is the last number given out.

    `releases` None leaves what is stored of them. `after` is the last generation that the scaler knows of: the store
    may have lost it, and a proxy that cannot be reached may go by it.
    """

    backends: Mapping[str, Backend]
    serial: int
    summary: Summary
    happenings: tuple[Happening, ...] = ()
    releases: Releases | None = None
    after: int = 0


def entry_order(entry: str) -> tuple[int, ...]:
    """The id of an order or of a line of the history, in an order that sorts; "" comes before all.

    A part that is no number does not count.
    """
    return tuple(int(part) for part in entry.split("-") if part.isdigit())


class OrderKind(StrEnum):
    """What a person may order."""

    SCALE = "scale"
    AUTO = "auto"
    PAUSE = "pause"
    RESUME = "resume"
    FORGET = "forget"
    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    PROMOTE = "promote"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Order:
    """A person's order; `count` only with `SCALE`, `proxy` only with `FORGET`. `id` is the store's, "" before.

    `image`, `share` and `sticky` only with `DEPLOY`: "" stands for the configured image; a share in per cent makes it
    a canary. `reason` only with `ABORT`.
    """

    kind: OrderKind
    count: int | None = None
    id: str = ""
    proxy: str = ""
    image: str = ""
    share: int | None = None
    sticky: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BackendCounters:
    """What one proxy saw of one backend; monotonic, but for the gauge `in_flight` and the mean `total_ms`.

    `busy_ms` is the time that all requests which have ended took together.
    """

    arrivals: int = 0
    errors: int = 0
    refused: int = 0
    in_flight: int = 0
    total_ms: float = 0.0
    busy_ms: int = 0


@dataclass(frozen=True, slots=True)
class ProxyReading:
    """One proxy's counters as it last wrote them.

    `series` is new at each start of counting; `uptime_ms` is the proxy's own monotonic clock; `generation` the one
    it has applied. `leaving` is what is in flight on backends that do not serve in that generation, without those at 0.
    `outlives_agent` says that the proxy goes on sending requests when its key disappears (HAProxy does, mitmproxy does
    not). `backends` is read back for people only, `figures` not at all.
    """

    id: str
    series: str
    uptime_ms: int
    generation: int
    arrivals: int
    completions: int = 0
    refused: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0
    in_flight: int = 0
    held: int = 0
    leaving: Mapping[str, int] = field(default_factory=dict)
    outlives_agent: bool = False
    backends: Mapping[str, BackendCounters] | None = None
    figures: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of the requests that one proxy sent to one backend: monotonic, but that `finished` may lag."""

    finished: int = 0
    errors: int = 0
    busy_ms: int = 0


@dataclass(frozen=True, slots=True)
class Detail:
    """What was read of single backends; what is 0 is left out.

    `in_flight` is by backend, over all proxies; `refused`, the connections refused, by proxy and backend, as are
    `outcomes`, which hold every backend that a proxy tells of, and are None unless they were asked for.
    """

    in_flight: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    outcomes: Mapping[str, Mapping[str, Outcomes]] | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """Every proxy that has not left cleanly: those that report, and the ids of those that fell silent.

    A proxy whose counters cannot be believed counts as silent, and `faults` says why. `lasting` are those among the
    silent that outlive their agent. `detail` is None unless it was asked for.
    """

    readings: tuple[ProxyReading, ...]
    silent: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    lasting: frozenset[str] = frozenset()
    detail: Detail | None = None


def detail_of(readings: Iterable[ProxyReading], *, outcomes: bool = False) -> Detail:
    """The detail of these readings, which carry their backends."""
    in_flight, refused = Counter[str](), dict[str, Mapping[str, int]]()
    ended: dict[str, Mapping[str, Outcomes]] = {}
    for reading in readings:
        backends = reading.backends or {}
        in_flight.update({name: one.in_flight for name, one in backends.items() if one.in_flight})
        if told := {name: one.refused for name, one in backends.items() if one.refused}:
            refused[reading.id] = told
        ended[reading.id] = {name: outcomes_of(one) for name, one in backends.items()}
    return Detail(dict(in_flight), refused, ended if outcomes else None)


def outcomes_of(one: BackendCounters) -> Outcomes:
    """What has ended of it. A request that waits for its connection is in flight and has not arrived yet."""
    return Outcomes(max(0, one.arrivals - one.in_flight), one.errors, one.busy_ms)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the registry still knows of a scaler's earlier work; an empty store gives an empty memory.

    `faults` names what is stored beside the snapshot and could not be believed, one line each.
    """

    snapshot: Snapshot | None = None
    serial: int = 0
    paused: bool = False
    manual: int | None = None
    desired: int | None = None
    last_order: str = ""
    faults: tuple[str, ...] = ()
    releases: Releases | None = None


class Registry(Protocol):
    """The acting scaler's side. Every method raises StoreUnavailableError when the store cannot be reached."""

    def acquire(self, scaler: str) -> Lease | None:
        """Take the lease, or None while another holds it. Also records that this scaler lives."""

    def renew(self, lease: Lease) -> bool:
        """Prolong the lease by its ttl; False when it is no longer this holder's."""

    def release(self, lease: Lease) -> None:
        """Give the lease back, so that another need not wait for its end."""

    def publish(self, lease: Lease, change: Change) -> int:
        """Write one change atomically and return its generation. Raises RefusedError without the lease."""

    def overwritten(self) -> str:
        """What a stranger wrote over the last publication, in one line; "" where it stands as it was published.

        After that the next publication writes everything anew.
        """

    def summarise(self, lease: Lease, summary: Summary) -> None:
        """Refresh what status shows, without a new generation. Raises RefusedError without the lease."""

    def record(self, lease: Lease, happenings: Sequence[Happening]) -> None:
        """Append to the history without a new generation. Raises RefusedError without the lease."""

    def recall(self) -> Memory:
        """What is stored of the fleet and of the orders in force.

        An instance that is missing from a snapshot with faults may be the one that could not be read.
        """

    def orders(self, after: str) -> Sequence[Order]:
        """Orders placed after the one of that id, oldest first; "" begins at the oldest kept."""


class Meter(Protocol):
    """The proxies' counters, as the scaler reads them."""

    def sight(self, *, detail: bool, outcomes: bool = False) -> Sighting:
        """Every proxy's counters, without their `backends`; with `detail` what those add up to.

        `outcomes` are read with the detail, at a cost: three numbers a backend and proxy. Raises StoreUnavailableError.
        """

    def forget(self, lease: Lease, proxy: str) -> None:
        """Drop a silent proxy's entry: nothing waits for it any longer. Raises RefusedError without the lease."""

    def remember(self, lease: Lease, proxy: str, *, lasting: bool) -> None:
        """List a silent proxy that the store lost; `lasting`: it outlives its agent. Raises RefusedError likewise."""


class Noticeboard(Protocol):
    """A proxy's side. Every method raises StoreUnavailableError when the store cannot be reached."""

    async def snapshot(self) -> Snapshot | None:
        """The registry, or None where the store holds no data (which is not an empty fleet)."""

    async def report(self, reading: ProxyReading) -> None:
        """Write this proxy's counters and its sign of life."""

    async def wake(self) -> None:
        """Ask the scaler to look at once, after `report` has shown what is held."""

    async def leave(self, proxy: str) -> None:
        """Remove this proxy's traces on a clean end."""

    def changes(self) -> AsyncIterator[int]:
        """The generations as they are published; ends with StoreUnavailableError when the connection breaks."""


@dataclass(frozen=True, slots=True)
class Status:
    """All that `stoker status` shows, read in one go.

    `scalers` pairs each id with the seconds since it was last seen, by the store's own clock. `extra` says, by what
    is concerned, what else could not be read.
    """

    summary: Summary | None
    snapshot: Snapshot | None
    sighting: Sighting
    scalers: tuple[tuple[str, float], ...] = ()
    acting: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    releases: Releases | None = None


class Desk(Protocol):
    """The `stoker` command's side."""

    def status(self, known: Snapshot | None = None) -> Status:
        """The whole fleet as the store shows it; `known` is taken over while its generation is the present one."""

    def place(self, order: Order) -> str:
        """Leave an order for the acting scaler; returns its id, which comes after the last order carried out."""

    def history(self, after: str, *, wait_s: float) -> Sequence[tuple[str, Happening]]:
        """Happenings after that id, oldest first; waits up to `wait_s` for the first of them.

        Where the store lost its newest lines and its clock went back, ids begin again before `after`: whoever reads on
        goes by the last id that it got, and has a desk of its own.
        """
