"""A line of the access log, from hostile bytes too."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from addon.access import Access, Tally, line

ACCESS = Access(
    at=1_763_879_688.1234,
    id=b"c47f5b2df13d48c6bb34bcf8bf7c4e0e",
    client="192.0.2.7",
    method=b"GET",
    path=b"/a",
    status=200,
    backend="web1",
    address=("127.0.0.1", 3000),
    bytes_in=0,
    bytes_out=12,
    held_s=0.0,
    connect_s=0.00123,
    total_s=0.0456,
)


def test_a_line_holds_all_of_a_request() -> None:
    assert {
        "time": "2025-11-23T06:34:48.123Z",
        "id": "c47f5b2df13d48c6bb34bcf8bf7c4e0e",
        "client": "192.0.2.7",
        "method": "GET",
        "path": "/a",
        "status": 200,
        "backend": "web1",
        "address": "127.0.0.1:3000",
        "bytes_in": 0,
        "bytes_out": 12,
        "held_ms": 0.0,
        "connect_ms": 1.2,
        "total_ms": 45.6,
    } == json.loads(line(ACCESS))


def test_what_never_came_about_is_minus_one() -> None:
    told = json.loads(line(replace(ACCESS, held_s=-1, connect_s=-1, backend=None, address=None, status=-1)))
    assert (-1, -1, -1, None, None) == (
        told["held_ms"],
        told["connect_ms"],
        told["status"],
        told["backend"],
        told["address"],
    )


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_whatever_a_client_sends_is_one_line_of_plain_ascii(path: bytes, method: bytes) -> None:
    text = line(replace(ACCESS, path=path, method=method))
    assert text.isascii()
    assert text.isprintable()
    assert path.decode("utf-8", "replace") == json.loads(text)["path"]


def test_a_tally_lets_everything_pass() -> None:
    tally = Tally()
    assert [b"ab", b"", b"c"] == [tally(b"ab"), tally(b""), tally(b"c")]
    assert 3 == tally.bytes
