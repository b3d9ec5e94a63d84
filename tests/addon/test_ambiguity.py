from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.http import Headers, Request
from mitmproxy.test import tutils

from addon.ambiguity import ambiguity

HOST = (b"Host", b"app.example")


def request(*fields: tuple[bytes, bytes], **parts: bytes) -> Request:
    return tutils.treq(headers=Headers((*fields,)), **({"authority": b"", "path": b"/"} | parts))


def refused(*fields: tuple[bytes, bytes], http2: bool = False, **parts: bytes) -> bool:
    return ambiguity(request(*fields, **parts).data, http2=http2) is not None


def test_an_ordinary_request_is_not_refused() -> None:
    assert not refused(HOST, (b"X", b"a\tb \xff"), (b"Content-Length", b"5"), path=b"/a%20b?c=%41\xff")
    assert not refused((b"HOST", b"[::1]:80"), (b"Transfer-Encoding", b"Chunked"))
    assert not refused((b"host", b""), path=b"*", method=b"OPTIONS")
    assert not refused(http_version=b"HTTP/1.0")
    assert not refused(authority=b"app.example:443", http_version=b"HTTP/2.0", http2=True)


@given(st.sampled_from([b"\r", b"\n", b"\0"]), st.binary(max_size=5), st.binary(max_size=5), st.booleans())
def test_a_header_with_a_character_that_ends_it_is_refused(
    bad: bytes,
    before: bytes,
    after: bytes,
    in_name: bool,
) -> None:
    text = before + bad + after
    assert refused(HOST, (text, b"x") if in_name else (b"x", text))


@pytest.mark.parametrize("text", [b"/a\r\nb", b"/a b", b"/a\0", b"/a\tb", b"/a#b", b"a", b"", b"http://evil/", b"*a"])
def test_a_path_that_is_none_is_refused(text: bytes) -> None:
    assert refused(HOST, path=text)


@pytest.mark.parametrize("text", [b"", b"GE T", b"GE(T", b"GET\r", b"x" * 65, "GÉT".encode()])
def test_a_method_that_is_none_is_refused(text: bytes) -> None:
    assert refused(HOST, method=text)


@pytest.mark.parametrize(
    "hosts", [(), (b"a", b"a"), (b"a", b"b"), (b"a,b",), (b"a b",), (b"a/b",), (b"u@a",), (b"a:x",)]
)
def test_a_request_names_one_host_once(hosts: tuple[bytes, ...]) -> None:
    assert refused(*((b"Host", host) for host in hosts))


def test_a_whole_url_in_http1_1_needs_a_host_beside_it() -> None:
    assert refused(authority=b"app.example")
    assert not refused(authority=b"app.example", http_version=b"HTTP/1.0")


@pytest.mark.parametrize(
    ("scheme", "authority", "alike"),
    [
        (b"http", b"app.example", True),
        (b"http", b"APP.example:80", True),
        (b"https", b"app.example:443", True),
        (b"http", b"app.example:443", False),
        (b"http", b"evil.example", False),
        (b"http", b"u@app.example", False),
    ],
)
def test_a_whole_url_names_the_same_host(scheme: bytes, authority: bytes, alike: bool) -> None:
    assert alike is not refused(HOST, scheme=scheme, authority=authority)


@pytest.mark.parametrize(
    "field",
    [
        (b"Transfer-Encoding", b"gzip, chunked"),
        (b"transfer-encoding", b"identity"),
        (b"Content-Length", b"18446744073709551621"),
    ],
)
def test_a_body_that_not_every_server_can_measure_is_refused(field: tuple[bytes, bytes]) -> None:
    assert refused(HOST, field)


@pytest.mark.parametrize(
    ("version", "http2"), [(b"HTTP/2.0", False), (b"HTTP/3.0", False), (b"HTTP/1.1", True), (b"HTTP/0.9", False)]
)
def test_a_version_that_the_connection_does_not_speak_is_refused(version: bytes, http2: bool) -> None:
    assert refused(HOST, http_version=version, http2=http2)
