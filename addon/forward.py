"""What a proxy does to a request's head: drop what a client may not say, and what is for this proxy alone; add ours."""

from __future__ import annotations

import ipaddress
import re
import secrets
from functools import lru_cache
from itertools import count
from random import random
from typing import TYPE_CHECKING

from fleet.reserved import FORWARDING, HOP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mitmproxy.http import RequestData

SMALL = 65_536
REQUEST_HEADER = b"X-Stoker-Request"
PRIVATE = (b"x-forwarded-", b"x-request-id", b"x-stoker-")
# A connection is ours, so what a client says of it is not passed on; a websocket alone may switch to another protocol.
# mitmproxy answers the one expectation that there is by itself; an app that answered another would end the request.
CONNECTION = (b"connection", b"upgrade", b"expect")
CLAIMS = frozenset(name.encode() for name in FORWARDING)
NEVER = frozenset(name.encode() for name in HOP)
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class RequestIds:
    """Random ids that nobody can guess, made many at a time: one call of the system costs as much as a hundred ids."""

    def __init__(self) -> None:
        self._made: list[bytes] = []

    def next(self) -> bytes:
        """32 hex digits."""
        if not self._made:
            digits = secrets.token_hex(16 * 256).encode()
            self._made = [digits[at : at + 32] for at in range(0, len(digits), 32)]
        return self._made.pop()


class Forwarder:
    """Rewrites the forwarding headers. `trusted` are the networks whose own forwarding headers are believed.

    Of all requests the app is asked to profile a `share`, which it does for whoever knows the token.
    """

    def __init__(self, trusted: Sequence[str], token: str | None = None, share: float = 0.0) -> None:
        self._ids = RequestIds()
        self._asking = (b"X-Stoker-Profile", token.encode()) if token and share > 0 else None
        self._share = share
        self._networks = tuple(ipaddress.ip_network(text) for text in trusted)
        self._boot = secrets.token_hex(8)
        self._serial = count(1)
        self._is_trusted = lru_cache(4096)(self._lies_in_networks)

    def rewrite(self, request: RequestData, client: str, scheme: bytes) -> None:
        """Replace the request's headers by those that the backend may see."""
        believed = bool(self._networks) and self._is_trusted(client)
        kept, given = _sift(request.headers.fields, believed=believed)
        host = given.pop(b"host", b"")
        host = request.authority or host
        address = client.encode("ascii", "replace")
        if believed:
            kept += self._believed(given, address, host, scheme)
        else:
            kept += (
                (b"X-Forwarded-For", address),
                (b"X-Forwarded-Host", host),
                (b"X-Forwarded-Proto", scheme),
                (b"X-Request-Id", self._request_id()),
            )
        kept.append((REQUEST_HEADER, self._ids.next()))
        if self._asking is not None and random() < self._share:  # noqa: S311  # no secret
            kept.append(self._asking)
        request.headers.fields = tuple(kept)

    def _believed(
        self, given: dict[bytes, bytes], address: bytes, host: bytes, scheme: bytes
    ) -> list[tuple[bytes, bytes]]:
        ahead = given.pop(b"x-forwarded-for", b"")
        request_id = given.pop(b"x-request-id", b"")
        return [
            (b"X-Forwarded-For", ahead + b", " + address if ahead else address),
            (b"X-Forwarded-Host", given.pop(b"x-forwarded-host", host)),
            (b"X-Forwarded-Proto", given.pop(b"x-forwarded-proto", scheme)),
            (b"X-Request-Id", request_id if REQUEST_ID.fullmatch(request_id) else self._request_id()),
            *given.items(),
        ]

    def _request_id(self) -> bytes:
        return b"%s-%x" % (self._boot.encode(), next(self._serial))

    def _lies_in_networks(self, client: str) -> bool:
        try:
            address = ipaddress.ip_address(client)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self._networks)


def _sift(
    fields: Sequence[tuple[bytes, bytes]], *, believed: bool
) -> tuple[list[tuple[bytes, bytes]], dict[bytes, bytes]]:
    """What passes, and apart from it what the client gave of the headers that we set, with its Host."""
    kept: list[tuple[bytes, bytes]] = []
    given: dict[bytes, bytes] = {}
    hops: dict[bytes, bytes] = {}
    for field in fields:
        name = field[0].lower()
        if name.startswith(PRIVATE):
            if not name.startswith(b"x-stoker-"):
                _collect(given, name, field[1])
        elif name in CONNECTION:
            _collect(hops, name, field[1])
        # Most apps read X_Forwarded_For as X-Forwarded-For, some X.Forwarded.For, too.
        elif name.replace(b"-", b"").isalnum() and name not in NEVER and (believed or name not in CLAIMS):
            if name == b"host":
                given.setdefault(name, field[1])
            kept.append(field)
    if hops:
        kept += _connection(hops)
    return kept, given


def _connection(hops: dict[bytes, bytes]) -> Sequence[tuple[bytes, bytes]]:
    """Of what a client says about its connection that which mitmproxy acts upon, and which names no other header."""
    expected = hops.get(b"expect", b"").lower() == b"100-continue"
    expectation = [(b"Expect", b"100-continue")] if expected else []
    if (upgrade := hops.get(b"upgrade", b"")).lower() == b"websocket":
        return [*expectation, (b"Connection", b"Upgrade"), (b"Upgrade", upgrade)]
    words = {word.strip() for word in hops.get(b"connection", b"").lower().split(b",")}
    return [*expectation, *[(b"Connection", word) for word in (b"close", b"keep-alive") if word in words][:1]]


def _collect(given: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    given[name] = given[name] + b", " + value if name in given else value


def is_large(fields: Sequence[tuple[bytes, bytes]], *, unknown: bool = False) -> bool:
    """Whether a body is streamed by its headers: longer than `SMALL`, or chunked; `unknown` where no header tells."""
    for name, value in fields:
        length = len(name)
        if length == 14 and name.lower() == b"content-length":
            return len(value) > 5 or (value.isdigit() and int(value) > SMALL)
        if length == 17 and name.lower() == b"transfer-encoding":
            return True
    return unknown
