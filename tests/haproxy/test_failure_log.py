"""What HAProxy logs, as both versions were seen to write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.crash import Symptom
from haproxy.failure_log import Logged, read_line

ID = "c47f5b2df13d48c6bb34bcf8bf7c4e0e"


def line(
    *, server: str = "app/s1", ended: str = "----", status: int = 500, asked: str = "GET /a HTTP/1.1", tail: str = ""
) -> bytes:
    return (
        f"127.0.0.1:41072 [23/Nov/2026:05:45:53.887] stoker {server} 0/0/0/0/15 {status} 48 - - {ended} 1/1/0/0/0 0/0 "
        f'"{asked}" {tail or f"10.0.0.7:3000 {ID}"}\n'
    ).encode("latin-1")


def test_a_failed_request_is_read_back() -> None:
    expected = Logged(ID, ("10.0.0.7", 3000), "GET", "/a", 500, Symptom.STATUS, 15.0)
    assert expected == read_line(line(asked="GET /a?secret=1 HTTP/1.1"))


@pytest.mark.parametrize(
    ("status", "ended", "symptom", "told"),
    [
        (500, "----", Symptom.STATUS, 500),
        (503, "--VN", Symptom.STATUS, 503),
        (500, "CD--", Symptom.STATUS, 500),
        (502, "SH--", Symptom.ABORTED, None),
        (502, "PH--", Symptom.ABORTED, None),
        (504, "sH--", Symptom.ABORTED, None),
        (200, "SD--", Symptom.BROKEN, 200),
        (200, "sD--", Symptom.BROKEN, 200),
    ],
)
def test_how_it_failed_is_told_by_the_status_and_by_who_ended_it(
    status: int, ended: str, symptom: Symptom, told: int | None
) -> None:
    read = read_line(line(status=status, ended=ended))
    assert read is not None
    assert (symptom, told) == (read.symptom, read.status)


@pytest.mark.parametrize(
    "logged",
    [
        line(status=200),
        line(status=404),
        line(status=200, ended="CD--"),
        line(server="stoker/<NOSRV>", status=503, ended="LR--"),
        line(server="app/<NOSRV>", status=503, ended="SC--"),
        line(status=503, ended="SC--"),
        line(status=503, ended="sQ--"),
        line(asked="<BADREQ>", tail="-:- -"),
        line(tail="10.0.0.7:3000 -"),
        line(tail=f"- {ID}"),
        b"",
        b"Proxy stoker started.\n",
    ],
)
def test_what_did_not_fail_or_reached_no_instance_is_nobodys_crash(logged: bytes) -> None:
    assert read_line(logged) is None


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/a?b=/c", "/a"),
        ("https://app.test/a/b?c", "/a/b"),
        ("http://app.test", "/"),
        ("*", "/"),
        ("/#22x#7Cy", '/"x|y'),
        ("/caf\xe9", "/caf\xe9"),
        ("/" + "x" * 9000, "/" + "x" * 1999),
    ],
)
def test_a_path_is_kept_without_a_query(target: str, path: str) -> None:
    read = read_line(line(asked=f"GET {target} HTTP/1.1"))
    assert read is not None
    assert path == read.path


def test_captured_headers_and_cookies_of_the_users_own_do_not_confuse() -> None:
    told = line().replace(b" - - ----", b" a=b - ----").replace(b'0/0 "', b'0/0 {GET /x HTTP/1.1|"b"} {} "')
    read = read_line(told)
    assert read is not None
    assert (ID, "/a") == (read.id, read.path)


def test_an_address_of_version_6_is_read() -> None:
    read = read_line(line(tail=f"fd00::2:3000 {ID}"))
    assert read is not None
    assert ("fd00::2", 3000) == read.place


@given(st.binary(max_size=300))
def test_no_line_whatsoever_is_an_error(noise: bytes) -> None:
    assert read_line(noise) is None
    assert read_line(line()[:60] + noise) is None
