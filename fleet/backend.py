"""The shared nouns: an instance as a proxy sees it, its phases, and the rules of its name and url."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

APP_NAME = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z])?")
HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?")
MAX_WEIGHT = 256
DEFAULT_WEIGHT = 100
LOCAL_HOST = "local"
MAX_SINCE = 1e12
# Clouds give credentials to whoever asks these addresses; the usual 169.254.169.254 is link-local.
METADATA_SERVICES = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200")))


class Phase(StrEnum):
    """Where an instance is in its life; `scaler/machine.py` holds the table of what may follow what."""

    STARTING = "starting"
    WARMING = "warming"
    SERVING = "serving"
    DRAINING = "draining"
    STOPPING = "stopping"
    GONE = "gone"
    FAILED = "failed"


ORDERED = frozenset({Phase.STARTING, Phase.WARMING})
CAPACITY = ORDERED | {Phase.SERVING}
LEAVING = frozenset({Phase.DRAINING, Phase.STOPPING, Phase.FAILED})


@dataclass(frozen=True, slots=True)
class Backend:
    """One entry of the registry. `url` is None until the instance has an address; `since` is for display only.

    A `canary` is of the set on trial; where it is `sticky`, too, clients stay with the set that they met first.
    """

    name: str
    phase: Phase
    url: str | None = None
    weight: int = DEFAULT_WEIGHT
    host: str = LOCAL_HOST
    since: float = 0.0
    spec: str = ""
    token: int = 0
    canary: bool = False
    sticky: bool = False

    def to_json(self) -> str:
        """The value stored under this backend's name."""
        return json.dumps(
            {
                "url": self.url,
                "phase": self.phase,
                "weight": self.weight,
                "host": self.host,
                "since": self.since,
                "spec": self.spec,
                "token": self.token,
            }
            | ({"canary": True} if self.canary else {})
            | ({"sticky": True} if self.sticky else {}),
            separators=(",", ":"),
        )


def instance_name(app: str, number: int) -> str:
    """The name of the app's instance of that number: `production` and 7 give `production7`."""
    return f"{app}{number}"


def instance_number(app: str, name: str) -> int | None:
    """The number in an instance's name, or None where the name is not one of this app's."""
    digits = name.removeprefix(app)
    if digits == name or not digits.isascii() or not digits.isdigit() or digits.startswith("0"):
        return None
    return int(digits) if len(digits) <= 15 else None


def parse_backend(app: str, name: str, text: str | bytes, networks: Sequence[Network]) -> Backend:
    """Read one registry entry.

    Raises ValueError, in one line with the name and the value, for anything that a proxy or a scaler must not
    believe: broken JSON, an unknown phase, a weight outside 0 to 256, a url outside `networks`.
    """
    if instance_number(app, name) is None:
        raise ValueError(f"backend {name[:80]!r}: the name must be {app!r} and a number")
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"backend {name}: not JSON: {text[:80]!r}") from error
    if not isinstance(entry, dict):
        raise ValueError(f"backend {name}: must be a JSON object, was {str(entry)[:80]!r}")  # noqa: TRY004
    return _backend(name, entry, networks)


def _backend(name: str, entry: dict[str, Any], networks: Sequence[Network]) -> Backend:
    try:
        phase = Phase(str(entry.get("phase")))
    except ValueError as error:
        raise ValueError(f"backend {name}: unknown phase {str(entry.get('phase'))[:80]!r}") from error
    weight, since, token = entry.get("weight"), entry.get("since", 0.0), entry.get("token", 0)
    if not isinstance(weight, int) or isinstance(weight, bool) or not 0 <= weight <= MAX_WEIGHT:
        raise ValueError(f"backend {name}: weight must be a whole number from 0 to 256, was {str(weight)[:80]!r}")
    host, spec = entry.get("host", LOCAL_HOST), entry.get("spec", "")
    if not isinstance(host, str) or not HOST_NAME.fullmatch(host):
        raise ValueError(f"backend {name}: host must be a host's name, was {str(host)[:80]!r}")
    url = entry.get("url")
    if url is not None:
        backend_address(name, url, networks)
    return Backend(
        name=name,
        phase=phase,
        url=url,
        weight=weight,
        host=host,
        since=float(since) if isinstance(since, int | float) and 0 <= since < MAX_SINCE else 0.0,
        spec=spec if isinstance(spec, str) else "",
        token=token if isinstance(token, int) else 0,
        canary=entry.get("canary") is True,
        sticky=entry.get("sticky") is True,
    )


def backend_address(name: str, url: object, networks: Sequence[Network]) -> tuple[str, int]:
    """The IP address and port of a backend's url.

    Raises ValueError unless the url is exactly `http://ip:port` with the ip inside one of `networks`.
    """
    wanted = f"backend {name}: url must be http://ip:port inside backend_networks, was {str(url)[:80]!r}"
    if not isinstance(url, str):
        raise ValueError(wanted)  # noqa: TRY004
    try:
        parts = urlsplit(url)
        address, port = ipaddress.ip_address(parts.hostname or ""), parts.port
    except ValueError as error:
        raise ValueError(wanted) from error
    canonical = f"[{address}]" if address.version == 6 else str(address)
    if not port or url != f"http://{canonical}:{port}" or not allowed(address, networks):
        raise ValueError(wanted)
    return str(address), port


def allowed(address: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: Sequence[Network]) -> bool:
    """Whether proxies may send to this address: inside `networks`, and never link-local or a metadata service."""
    hidden = address.version == 6 and address.ipv4_mapped is not None
    if hidden or address.is_link_local or address in METADATA_SERVICES:
        return False
    return any(address in network for network in networks)
