"""What happened (events) and what to do (effects): the whole vocabulary between the machine and a world.

Every event carries `now`, the time at which the world saw it. Effects of one step are performed in their order. A
step that publishes emits no act (Start, Stop): acts follow from the row that handles Published.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from fleet.registry import Change, Happening, Memory, Order, Sighting, Summary


@dataclass(frozen=True, slots=True)
class Found:
    """One instance that really is there, by its labels. `exit_code` and `log` only where it no longer runs."""

    name: str
    host: str
    spec: str = ""
    url: str | None = None
    running: bool = True
    exit_code: int | None = None
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Census:
    """What runs on the hosts that answered; of the others nothing is known. `asked_at` is when the count began."""

    asked_at: float
    found: tuple[Found, ...] = ()
    answered: frozenset[str] = field(default_factory=frozenset)
    hosts: frozenset[str] = field(default_factory=frozenset)
    faults: tuple[str, ...] = ()


class Outcome(StrEnum):
    """What one readiness probe saw."""

    READY = "ready"
    REFUSED = "refused"
    TIMED_OUT = "timed out"
    BAD = "bad answer"


# Events ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tick:
    """A regular look, or one asked for by a wake.

    `sighting` is None where the store could not be read. `renewed_at` is when the last successful renewal of the
    lease was sent, None while another scaler holds it. A sighting with detail answers a Look.
    """

    now: float
    sighting: Sighting | None
    renewed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Elected:
    """The lease is ours since `sent_at`, when it was asked for; acts may begin at `act_from`."""

    now: float
    token: int
    sent_at: float
    act_from: float
    lease_ttl_s: float


@dataclass(frozen=True, slots=True)
class Deposed:
    """The lease is no longer ours."""

    now: float
    reason: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """What the survey of the term of that token found: on the hosts, in the store, and what answers its probe."""

    now: float
    token: int
    census: Census
    memory: Memory
    ready: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Counted:
    """A later census."""

    now: float
    census: Census


@dataclass(frozen=True, slots=True)
class Started:
    """The actuator started it and says where it listens."""

    now: float
    name: str
    url: str
    host: str


@dataclass(frozen=True, slots=True)
class StartFailed:
    """The actuator could not start it."""

    now: float
    name: str
    reason: str
    exit_code: int | None = None
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stopped:
    """It is stopped and removed, or was not there. `log` holds its last lines, where they could be had.

    `exit_code` only where it had ended before it was asked to.
    """

    now: float
    name: str
    log: tuple[str, ...] = ()
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class StopFailed:
    """The actuator could not stop it; it is tried again at its deadline."""

    now: float
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Probed:
    """One readiness probe ended."""

    now: float
    name: str
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """The store took the publication of that version."""

    now: float
    version: int
    generation: int


@dataclass(frozen=True, slots=True)
class Unpublished:
    """The store could not be reached for that version; the next tick publishes again."""

    now: float
    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class Overwritten:
    """The store no longer holds what was published last, though the lease is ours: a stranger wrote there."""

    now: float
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The store says that the lease is not ours: the term is over."""

    now: float
    reason: str


@dataclass(frozen=True, slots=True)
class Ordered:
    """A person ordered something."""

    now: float
    order: Order


@dataclass(frozen=True, slots=True)
class Resolved:
    """The image that was asked about is there. `pinned` is what will be run, `spec` the definition's hash with that."""

    now: float
    image: str
    order: str
    pinned: str
    spec: str


@dataclass(frozen=True, slots=True)
class Unresolved:
    """The image that was asked about does not exist, needs a login, or cannot be had for now."""

    now: float
    image: str
    order: str
    reason: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The operator ends this fleet: everything drains and stops, below the minimum too."""

    now: float


Event = (
    Tick
    | Elected
    | Deposed
    | Adopted
    | Counted
    | Started
    | StartFailed
    | Stopped
    | StopFailed
    | Probed
    | Published
    | Unpublished
    | Overwritten
    | Refused
    | Ordered
    | Resolved
    | Unresolved
    | Closed
)

# Effects -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Publish:
    """Write the change atomically; answered by Published, Unpublished or Refused."""

    version: int
    change: Change


@dataclass(frozen=True, slots=True)
class Report:
    """Refresh what status shows and append to the history; no new generation. Answered by Refused or nothing."""

    summary: Summary
    happenings: tuple[Happening, ...] = ()


@dataclass(frozen=True, slots=True)
class Placement:
    """Which instance is to be started, where, by which definition and of which image ("": the definition's)."""

    name: str
    host: str
    spec: str
    image: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """Start these; each is answered by Started or StartFailed."""

    placements: tuple[Placement, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop and remove it; answered by Stopped or StopFailed."""

    name: str
    host: str
    grace_s: float


@dataclass(frozen=True, slots=True)
class Watch:
    """Probe exactly these from now on, `(name, url, every_s)`; each probe is answered by Probed."""

    targets: tuple[tuple[str, str, float], ...]


@dataclass(frozen=True, slots=True)
class Look:
    """Read the counters in detail at once; answered by a Tick whose sighting has it, with `outcomes` if wanted."""

    outcomes: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """Take a census; answered by Counted."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Take stock for the term of that token: store, hosts, one probe of each found; answered by Adopted."""

    token: int


@dataclass(frozen=True, slots=True)
class Resolve:
    """Find out what this image stands for, pulling it where that is allowed; answered by Resolved or Unresolved."""

    image: str
    order: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop a missing proxy's entry in the store."""

    proxy: str


@dataclass(frozen=True, slots=True)
class Remember:
    """List a missing proxy again in the store, which lost it. `lasting`: it goes on sending without its agent."""

    proxy: str
    lasting: bool


Effect = Publish | Report | Start | Stop | Watch | Look | Count | Survey | Resolve | Forget | Remember
