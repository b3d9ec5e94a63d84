"""What a proxy does to a request's head: refuse what could be smuggled, drop what a client may not say, add ours."""

from __future__ import annotations

import ipaddress
import re
import secrets
from functools import lru_cache
from itertools import chain, count
from random import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mitmproxy.http import RequestData

SMALL = 65_536
REQUEST_HEADER = b"X-Stoker-Request"
PRIVATE = (b"x-forwarded-", b"x-request-id", b"x-stoker-")
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
# CR, LF and NUL split a head. A space, too, does so in a path or an authority, where HTTP/2 alone could carry it.
SPLITTING = re.compile(rb"[\r\n\0]")
SPLITTING_LINE = re.compile(rb"[\0-\x20\x7f]")


def splits(request: RequestData) -> bool:
    """Whether a header, the path, the authority or the method would split the head when it is written as HTTP/1."""
    return (
        SPLITTING.search(b"".join(chain.from_iterable(request.headers.fields))) is not None
        or SPLITTING_LINE.search(b"".join((request.path, request.authority, request.method))) is not None
    )


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
    for field in fields:
        name = field[0].lower()
        if name.startswith(PRIVATE):
            if not name.startswith(b"x-stoker-"):
                _collect(given, name, field[1])
            continue
        # Most apps read X_Forwarded_For as X-Forwarded-For, so it must not pass either.
        if (b"_" in name and name.replace(b"_", b"-").startswith(PRIVATE)) or (name == b"forwarded" and not believed):
            continue
        if name == b"host":
            given.setdefault(name, field[1])
        kept.append(field)
    return kept, given


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
