"""What HAProxy has and what it should have, as data: slots that stay, and the targets that are put on them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from fleet.backend import DEFAULT_WEIGHT, MAX_WEIGHT, Backend, Network, Phase, backend_address

if TYPE_CHECKING:
    from fleet.registry import Snapshot

FRONTEND, BACKEND = "stoker", "app"
SMALLEST = 16
SLOT_NAME = re.compile(r"s[1-9][0-9]{0,5}")
TARGET_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
# A free slot points at a port of loopback on which nobody listens, and is in maintenance.
NOWHERE = ("127.0.0.1", 1)
# The server that stands in while nobody serves, and how many places it says to have: more than any instance.
PLACEHOLDER, PLACES = "nobody", 1_000_000_000


@dataclass(frozen=True, slots=True)
class Target:
    """A serving backend. Raises ValueError for what must not reach a configuration or a command."""

    name: str
    address: str
    port: int
    weight: int = DEFAULT_WEIGHT
    canary: bool = False
    sticky: bool = False
    spec: str = ""

    def __post_init__(self) -> None:
        _check(TARGET_NAME.fullmatch(self.name) is not None, "name", self.name)
        _check_place(self.address, self.port, self.weight)

    @property
    def place(self) -> tuple[str, int]:
        """Its address and port."""
        return self.address, self.port


@dataclass(frozen=True, slots=True)
class Slot:
    """One server line. `holder` is the backend that was put there last; `idle` says that nothing is under way on it.

    Raises ValueError for what must not reach a configuration or a command.
    """

    name: str
    address: str = NOWHERE[0]
    port: int = NOWHERE[1]
    weight: int = DEFAULT_WEIGHT
    enabled: bool = False
    holder: str | None = None
    idle: bool = True

    def __post_init__(self) -> None:
        _check(SLOT_NAME.fullmatch(self.name) is not None, "slot", self.name)
        _check(self.holder is None or TARGET_NAME.fullmatch(self.holder) is not None, "holder", self.holder)
        _check_place(self.address, self.port, self.weight)

    @property
    def place(self) -> tuple[str, int]:
        """Its address and port."""
        return self.address, self.port


@dataclass(frozen=True, slots=True)
class Running:
    """A worker as it is: the marks of its configuration's sections, and its slots in their order."""

    marks: Mapping[str, str]
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What it should be: the marks, how many slots at least, and who gets requests."""

    marks: Mapping[str, str]
    slots: int
    targets: tuple[Target, ...]


def slots_for(most: int) -> int:
    """How many slots a fleet of at most so many instances has: as many again for those that are leaving."""
    return max(SMALLEST, 2 * most)


def slot_name(number: int) -> str:
    """The name of the slot of that number, from 1 up."""
    return f"s{number}"


def targets_of(snapshot: Snapshot, networks: Sequence[Network]) -> tuple[tuple[Target, ...], tuple[str, ...]]:
    """Who gets requests, and one line for each serving backend that cannot.

    Of two backends at one address the newer gets them: the older must be a stale entry.
    """
    by_place: dict[tuple[str, int], Target] = {}
    faults: list[str] = []
    for backend in snapshot.backends.values():
        if backend.phase is not Phase.SERVING:
            continue
        try:
            target = _target(backend, tuple(networks))
        except ValueError as error:
            faults.append(str(error))
            continue
        older = by_place.pop(target.place, None)
        if older is not None:
            faults.append(f"backend {older.name}: {target.name} has the same address, {backend.url}")
        by_place[target.place] = target
    return tuple(by_place.values()), tuple(faults)


@lru_cache(maxsize=16_384)
def _target(backend: Backend, networks: tuple[Network, ...]) -> Target:
    address, port = backend_address(backend.name, backend.url, networks)
    sticky = backend.canary and backend.sticky
    spec = backend.spec if sticky else ""
    return Target(backend.name, address, port, backend.weight, backend.canary, sticky, spec)


@lru_cache(maxsize=16_384)
def _check_place(address: str, port: int, weight: int) -> None:
    ipaddress.ip_address(address)
    # HAProxy wraps a larger port silently.
    _check(0 < port < 65536, "port", port)
    _check(0 <= weight <= MAX_WEIGHT, "weight", weight)


def _check(holds: bool, what: str, value: object) -> None:  # noqa: FBT001  # an assertion with words
    if not holds:
        raise ValueError(f"{what}: not allowed in HAProxy's configuration: {str(value)[:80]!r}")
