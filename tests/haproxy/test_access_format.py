"""HAProxy's access log: lines of both versions stay JSON whatever a client sends, and failures are read from them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from fleet.crash import Symptom
from haproxy.failure_log import Logged, read_line
from tests.addon.backends import backend
from tests.haproxy.rig import Client, on_both, rig, until

if TYPE_CHECKING:
    from fleet.embedded import EmbeddedValkey
    from tests.haproxy.rig import Rig

ID = "c47f5b2df13d48c6bb34bcf8bf7c4e0e"
FAILED: dict[str, Any] = {
    "id": ID,
    "method": "GET",
    "path": "/a",
    "status": 500,
    "server": "s1",
    "address": "10.0.0.7:3000",
    "total_ms": 15,
    "ended": "----",
}


def line(**values: object) -> bytes:
    return json.dumps(FAILED | values).encode() + b"\n"


def test_a_failed_request_is_read_back() -> None:
    assert Logged(ID, ("10.0.0.7", 3000), "GET", "/a", 500, Symptom.STATUS, 15.0) == read_line(line())


@pytest.mark.parametrize(
    "logged",
    [
        line(status=200),
        line(server="<NOSRV>"),
        line(address="-:-"),
        line(id="-"),
        line(ended=""),
        line(status="x"),
        line(total_ms=None),
        b"{}",
        b"{" * 100_000,
        line()[:60],
    ],
)
def test_what_did_not_fail_or_is_no_line_is_nobodys_crash(logged: bytes) -> None:
    assert read_line(logged) is None


def told(plane: Rig) -> list[dict[str, Any]]:
    """The lines of the access log so far."""
    return [json.loads(text) for text in plane.log().splitlines() if text.startswith('{"time"')]


async def written(plane: Rig, lines: int) -> None:
    """Wait for so many: each is written after its answer, by one of several threads, and the next may overtake it."""
    await until(lambda: len(told(plane)) == lines, f"{lines} requests are lines")


async def raw(plane: Rig, request: bytes) -> None:
    """Send bytes, and read what comes until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", plane.port)
    writer.write(request)
    try:
        await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()


HOSTILE = (
    b'/q"uo\\te',
    b"/caf\xc3\xa9",
    b"/\xff\xfe",
    b"/\x01",
    b"/" + b'"' * 3000,
    b"/" + b"x" * 64_000,
    b"/?secret=1",
)


@pytest.mark.live
@pytest.mark.timeout(60)
@on_both
async def test_each_request_is_a_line_of_json(valkey: EmbeddedValkey, fleet_name: str, binary: str) -> None:
    async with rig(valkey, fleet_name, binary, access_log='"stdout"') as plane, backend("production1") as one:
        await plane.applied(plane.publish({"production1": one.url}))
        client = Client(plane.port)
        await client.get("/first?secret=1")
        client.close()
        for number, path in enumerate(HOSTILE, start=1):
            await written(plane, number)
            await raw(plane, b"GET " + path + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await written(plane, 1 + len(HOSTILE))
        first, *others = told(plane)
    assert ("GET", "/first", 200) == (first["method"], first["path"], first["status"])
    assert one.url == f"http://{first['address']}"
    assert 32 == len(first["id"])
    assert 0 <= first["held_ms"] <= first["total_ms"]
    assert 0 <= first["connect_ms"] <= first["total_ms"]
    assert '/q"uo\\te' == others[0]["path"]
    assert "/" == others[-1]["path"]
    assert "secret" not in plane.log()
