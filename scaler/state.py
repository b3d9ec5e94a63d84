"""All that the machine remembers, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fleet.backend import DEFAULT_WEIGHT, Backend, Phase
from fleet.meter import Load, Window
from fleet.registry import Happening
from fleet.release import Canary, Release, Releases
from fleet.settings import LifeSettings, PolicySettings
from scaler.canary_counts import Trial
from scaler.schedule import Minimum


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that steer the machine.

    `spec` and `image` are of the configured instance definition. `pull_s` is what pulling an image may take beside a
    start; what really runs is counted every `census_s`, and every `warming_census_s` while something warms, so that an
    early exit shows.
    """

    app: str
    spec: str
    sizes: PolicySettings
    life: LifeSettings
    pull_s: float = 0.0
    census_s: float = 10.0
    warming_census_s: float = 2.0
    image: str = ""
    canary_warmup_s: float = 30.0

    @property
    def configured(self) -> Release:
        """The configured definition as a release, its image as it stands in the settings."""
        return Release(self.spec, self.image)


class FleetState(StrEnum):
    """The fleet's state as people read it; the first whose rule holds, in this order."""

    BUSY = "BUSY"
    READY = "READY"
    IDLE = "IDLE"
    UP = "UP"


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance as the machine knows it.

    `since` is when this scaler first saw the phase, `deadline` when the phase is overdue. `version` is the state's
    version that set the phase; `generation` the one that published it, None until then; `acted` whether the act of
    the phase (start, stop) was emitted. `refused` and `misses` count probes in a row that were refused, or went
    unanswered or were answered badly. `unlisted`: it was adopted without the registry, so that requests may be in
    flight on it though it did not serve yet. `ready_at`: one on trial answers its probes well since then.
    `listed_since` is what the registry said of the phase when it was taken over, for display only.
    """

    name: str
    phase: Phase
    host: str
    spec: str
    since: float
    deadline: float | None
    version: int
    url: str | None = None
    weight: int = DEFAULT_WEIGHT
    generation: int | None = None
    acted: bool = False
    born: float = 0.0
    refused: int = 0
    misses: int = 0
    trouble: str = ""
    unlisted: bool = False
    ready_at: float | None = None
    listed_since: float | None = None

    def backend(self, token: int, canary: Canary | None = None) -> Backend:
        """This instance as the registry lists it."""
        tried = canary is not None and canary.release.spec == self.spec
        sticky = canary is not None and tried and canary.sticky
        since = self.since if self.listed_since is None else self.listed_since
        return Backend(self.name, self.phase, self.url, self.weight, self.host, since, self.spec, token, tried, sticky)


@dataclass(frozen=True, slots=True)
class Term:
    """The right to act: from `act_from` until `act_until`, both by the clock of the world.

    `surveyed`: stock is being taken, or was taken. `settled` is False where the store may have lost data before.
    """

    token: int
    act_from: float
    act_until: float
    ttl_s: float
    surveyed: bool = False
    settled: bool = True


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that has not left cleanly. `silent_since` is None while it reports.

    `refusals` is its count of refused connections when those by backend were last read, `refused` what was read then:
    None where nothing is known of the time before. `unlisted`: the store lost it, and is to list it again.
    """

    generation: int
    silent_since: float | None = None
    outlives_agent: bool = False
    series: str = ""
    refusals: int = 0
    refused: Mapping[str, int] | None = None
    unlisted: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """The machine's memory.

    `version` grows with every change of the instances; `published` is the last one that the store took, `publishing`
    the one under way. `minimum` was in force when last asked for, None before. `needs` holds (time, need) of the
    stabilisation time, falling in need. `peak` and `panic_until` remember a burst. `start_failures` in a row delay the
    next start to `start_after`. `closing`: the operator ends the fleet, everything goes. `untold` happened while
    nothing could be written. `unheard` are the hosts that were silent when a registry that does not tell everything
    was taken over: what runs there may be ours without being listed. `removed` are those that were stopped, and when,
    since the last census was asked for: one that began earlier may still list them. `releases` is None until the first
    term has taken stock; `trial` is what was seen of its canary. `pinning`: an image of the settings is being resolved;
    that was tried for the instances up to the number `pin_tried`, -1 where not in this term. `generation` is the last
    that was published or taken over, `applied` the highest that any proxy showed, whether or not it still does.
    `generation_at` is when this scaler came to know `generation`. `vanished` are the proxies that lately were no
    longer listed, and when: they left, or the store lost them, which only the next term can tell. `seen_at` is when
    the proxies were last looked at. `bereft`: a lease went before its time, so the store had lost its data, and the
    proxies were not looked at since.
    """

    hosts: tuple[str, ...] = ()
    term: Term | None = None
    adopted: bool = False
    closing: bool = False
    instances: Mapping[str, Instance] = field(default_factory=dict)
    serial: int = 0
    version: int = 0
    published: int = 0
    publishing: int | None = None
    generation: int = 0
    generation_at: float = 0.0
    applied: int = 0
    window: Window = field(default_factory=Window)
    load: Load | None = None
    proxies: Mapping[str, Proxy] = field(default_factory=dict)
    vanished: Mapping[str, tuple[float, Proxy]] = field(default_factory=dict)
    seen_at: float = 0.0
    bereft: bool = False
    needs: tuple[tuple[float, int], ...] = ()
    peak: int = 0
    panic_until: float = 0.0
    desired: int = 0
    minimum: Minimum | None = None
    reasons: tuple[str, ...] = ()
    manual: int | None = None
    paused: bool = False
    last_order: str = ""
    start_failures: int = 0
    start_after: float = 0.0
    counted_at: float = 0.0
    fleet_state: FleetState = FleetState.BUSY
    watched: tuple[tuple[str, str, float], ...] = ()
    alarms: frozenset[str] = field(default_factory=frozenset)
    untold: tuple[Happening, ...] = ()
    unheard: frozenset[str] = frozenset()
    removed: Mapping[str, float] = field(default_factory=dict)
    releases: Releases | None = None
    pinning: bool = False
    pin_tried: int = -1
    trial: Trial = field(default_factory=Trial)
