"""Reads what a backend was sent as the strictest of servers would: what any server could read otherwise is a fault."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
LINE = re.compile(rb"(" + TOKEN + rb") ([/*][^\0-\x20\x7f]*) (HTTP/1\.[01])")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*([^\r\n\0]*)")
SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
# What a server's environment makes of a name; most do it to "-" alone, some to everything else, too.
FOLDED = re.compile(rb"[^0-9a-z]")
SINGLE = (b"host", b"content-length", b"transfer-encoding")


class AmbiguousError(Exception):
    """Two servers could read these bytes differently."""


@dataclass
class Request:
    """One request as it arrived. It is not `whole` while its body is not all there."""

    line: str
    fields: list[tuple[str, str]]
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    whole: bool = True

    def values(self, name: str) -> list[str]:
        """All values of the fields that some server would give this name."""
        wanted = fold(name.encode())
        return [value for key, value in self.fields if fold(key.encode("latin-1")) == wanted]


def fold(name: bytes) -> bytes:
    """The name as an environment variable's, less its case."""
    return FOLDED.sub(b"_", name.lower())


def requests_in(data: bytes) -> tuple[list[Request], bytes]:
    """The requests that stand in these bytes, and the begun head that follows them. Raises AmbiguousError."""
    found: list[Request] = []
    while data:
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            break
        one, data = _request(head, rest)
        found.append(one)
        if not one.whole:
            break
    return found, data


def _request(head: bytes, rest: bytes) -> tuple[Request, bytes]:
    first, *lines = head.split(b"\r\n")
    if LINE.fullmatch(first) is None:
        raise AmbiguousError(f"request line {first[:200]!r}")
    fields = [_field(line) for line in lines]
    names = [name.lower() for name, _ in fields]
    for name in SINGLE:
        if len([one for one in names if fold(one) == fold(name)]) > 1:
            raise AmbiguousError(f"{name.decode()} twice in {head[:300]!r}")
    given = {name: value for (_, value), name in zip(fields, names, strict=True)}
    one = Request(first.decode("latin-1"), [(key.decode("latin-1"), value.decode("latin-1")) for key, value in fields])
    length, coding = given.get(b"content-length"), given.get(b"transfer-encoding")
    if coding is not None:
        if length is not None or coding.lower() != b"chunked" or first.endswith(b"1.0"):
            raise AmbiguousError(f"a body of two readings: {head[:300]!r}")
        return one, _chunks(one, rest)
    if length is not None and not length.isdigit():
        raise AmbiguousError(f"content-length {length!r}")
    size = int(length or 0)
    one.body, one.whole = rest[:size], len(rest) >= size
    return one, rest[size:]


def _field(line: bytes) -> tuple[bytes, bytes]:
    found = FIELD.fullmatch(line)
    if found is None:
        raise AmbiguousError(f"field {line[:200]!r}")
    return found[1], found[2].strip(b" \t")


def _chunks(one: Request, rest: bytes) -> bytes:
    while True:
        size, end, rest = rest.partition(b"\r\n")
        if not end:
            one.whole = False
            return b""
        if SIZE.fullmatch(size) is None:
            raise AmbiguousError(f"chunk size {size[:80]!r}")
        count = int(size, 16)
        if not count:
            return _trailers(one, rest)
        chunk, after = rest[:count], rest[count : count + 2]
        if after and not b"\r\n".startswith(after):
            raise AmbiguousError(f"a chunk ends in {after!r}")
        one.body += chunk
        rest = rest[count + 2 :]


def _trailers(one: Request, rest: bytes) -> bytes:
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if not end:
            one.whole = False
            return b""
        if not line:
            return rest
        name, value = _field(line)
        one.trailers.append((name.decode("latin-1"), value.decode("latin-1")))
