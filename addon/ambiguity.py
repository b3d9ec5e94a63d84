"""Which requests are refused: those that two servers could read differently, of which one is then deceived."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mitmproxy.http import RequestData

# These end a line or a text somewhere. HTTP/2 could carry all of them, and mitmproxy 11 writes them as they are.
ENDING = re.compile(rb"[\r\n\0]")
# The asterisk is for OPTIONS. What follows a "#" is for no server.
PATH = re.compile(rb"/[^\0-\x20\x7f#]*|\*")
METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
HOST = re.compile(rb"(?:[A-Za-z0-9._~%-]*|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?")
# Below what 64 bits hold, so that it means the same number everywhere.
LONGEST_LENGTH = 18
DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}


def ambiguity(request: RequestData, *, http2: bool) -> str | None:
    """Why nobody should read this request, in some words; None for all that can be read in one way only.

    mitmproxy has refused already what has two lengths. `http2` says what its client's connection speaks.
    """
    fields = request.headers.fields
    if ENDING.search(b"".join(chain.from_iterable(fields))) is not None:
        return "a header holds a character that ends it"
    if PATH.fullmatch(request.path) is None or METHOD.fullmatch(request.method) is None:
        return "the method or the path holds a character that stands in none, or the path has no slash in front"
    if request.http_version != (b"HTTP/2.0" if http2 else b"HTTP/1.1") and (
        http2 or request.http_version != b"HTTP/1.0"
    ):
        return "the version is not the one that the connection speaks"
    hosts: list[bytes] = []
    for name, value in fields:
        size = len(name)
        if size == 4 and name.lower() == b"host":
            hosts.append(value)
        elif size == 14 and len(value) > LONGEST_LENGTH and name.lower() == b"content-length":
            return "its length is beyond all bounds"
        elif size == 17 and name.lower() == b"transfer-encoding" and value.lower() != b"chunked":
            return "its coding is not the one that every server knows"
    return None if _is_one_host(request, hosts) else "it must name one host, once, and the same everywhere"


def _is_one_host(request: RequestData, hosts: list[bytes]) -> bool:
    if len(hosts) > 1 or any(HOST.fullmatch(host) is None for host in (*hosts, request.authority)):
        return False
    if not hosts:
        # A whole url in HTTP/1.1 has to name its host in a line, too: its backend would get none.
        return request.authority != b"" if request.http_version == b"HTTP/2.0" else request.http_version == b"HTTP/1.0"
    port = DEFAULT_PORTS.get(request.scheme.lower(), b":")
    wanted, host = (text.lower().removesuffix(port) for text in (request.authority, hosts[0]))
    return not wanted or wanted == host
