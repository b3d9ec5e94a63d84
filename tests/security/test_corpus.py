"""The corpus against both planes: a backend never sees a second request, an ambiguous one or a forged header."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from fleet.settings import load
from tests.addon.rig import proxy
from tests.haproxy.rig import BOTH, rig
from tests.haproxy.test_options import certify
from tests.security.corpus import (
    CLEANED,
    FORGED,
    POST,
    REFUSED,
    SAID,
    STREAMS_CLEANED,
    STREAMS_REFUSED,
    TRAILERS,
    get,
    head,
)
from tests.security.recorder import PATIENT_S, Recorder, recorder, said
from tests.security.streams import status_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from fleet.embedded import EmbeddedValkey
    from tests.security.strict import Request

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

every_plane = pytest.mark.parametrize("kind", ["mitmproxy", *BOTH])
SWITCHING: dict[str, bytes] = {
    "to HTTP/2": get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
    "to HTTP/2 in capitals": get(b"Connection: upgrade\r\nUpgrade: H2C\r\n"),
    "to HTTP/2 or a websocket": get(b"Connection: upgrade\r\nUpgrade: h2c, websocket\r\n"),
    "in two lines": get(b"Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n"),
    "to TLS": get(b"Connection: upgrade\r\nUpgrade: TLS/1.0\r\n"),
}


@asynccontextmanager
async def plane(
    kind: str, valkey: EmbeddedValkey, fleet: str, folder: Path, one: Recorder, *, tls: bool = False
) -> AsyncIterator[int]:
    """The port of a plane that sends everything to that recorder."""
    if kind == "mitmproxy":
        settings = load(None, fleet=fleet, redis_url=valkey.url, state_dir=folder)
        with proxy(settings, folder) as started:
            await started.serve(one)
            yield started.port
        return
    certify(folder / "app.pem", "app.example")
    options = {"certificate": f'"{folder / "app.pem"}"'} if tls else {}
    # A tcp check would be a connection without a request.
    async with rig(valkey, fleet, kind, policy_max=10, **options, check='"none"') as running:
        await running.applied(running.publish({"production1": one.url}))
        yield running.port


def wrong(one: Recorder, *, most: int = 1) -> list[str]:
    """What of that which arrived since the last look should not have."""
    requests, faults = one.take()
    if len(requests) > most:
        faults.append(f"{len(requests)} requests: {[each.line for each in requests]}")
    faults += [f"hidden: {each.line}" for each in requests if each.line.startswith("GET /hidden")]
    return faults + [fault for each in requests for fault in _forged(each)]


def _forged(request: Request) -> list[str]:
    told = [f"{name}: {value}" for name, value in request.fields if FORGED.decode() in value]
    single = {name: request.values(name) for name in ("x-forwarded-for", "x-request-id", "x-stoker-request")}
    told += [f"{name}: {values}" for name, values in single.items() if len(values) != 1]
    return told + [f"names what is ours: {value}" for value in request.values("connection") if "x-" in value.lower()]


def refusals(answer: bytes) -> list[str]:
    return [] if not answer or answer[9:10] in {b"4", b"5"} else [f"answered {answer[:60]!r}"]


@every_plane
async def test_what_can_be_read_in_two_ways_is_refused(
    valkey: EmbeddedValkey, fleet_name: str, kind: str, tmp_path: Path
) -> None:
    async with recorder("production1") as one, plane(kind, valkey, fleet_name, tmp_path, one) as port:
        assert {} == await _all_of(one, {name: (port, wire) for name, wire in REFUSED.items()}, most=0)


@every_plane
async def test_what_passes_is_one_request_that_everybody_reads_alike(
    valkey: EmbeddedValkey, fleet_name: str, kind: str, tmp_path: Path
) -> None:
    async with recorder("production1") as one, plane(kind, valkey, fleet_name, tmp_path, one) as port:
        assert {} == await _all_of(one, {name: (port, wire) for name, wire in CLEANED.items()}, most=1)


async def _all_of(one: Recorder, wires: dict[str, tuple[int, bytes]], *, most: int) -> dict[str, list[str]]:
    found = {}
    for name, (port, wire) in wires.items():
        answer = await said(port, wire)
        found[name] = wrong(one, most=most) + ([] if most else refusals(answer))
        # Nothing of it is left for whoever comes next.
        answer = await said(port, get(target=b"/next"), silent_s=PATIENT_S)
        lines = [each.line for each in one.take()[0]]
        if lines != ["GET /next HTTP/1.1"] or not answer.endswith(b"ok"):
            found[name].append(f"the next request: {lines}, answered {answer[:60]!r}")
    return {name: faults for name, faults in found.items() if faults}


@every_plane
async def test_a_client_says_nothing_under_any_name_that_an_app_would_believe(
    valkey: EmbeddedValkey, fleet_name: str, kind: str, tmp_path: Path
) -> None:
    async with recorder("production1") as one, plane(kind, valkey, fleet_name, tmp_path, one) as port:
        found = {}
        for name in SAID:
            assert (name, b"200") == (
                name,
                (await said(port, get(name + b": " + FORGED + b"\r\n"), silent_s=PATIENT_S))[9:12],
            )
            found[name] = wrong(one)
        assert {} == {name: faults for name, faults in found.items() if faults}


@every_plane
async def test_no_client_gets_a_connection_to_a_backend_that_switches_to_another_protocol(
    valkey: EmbeddedValkey, fleet_name: str, kind: str, tmp_path: Path
) -> None:
    async with (
        recorder("production1", switches=True) as one,
        plane(kind, valkey, fleet_name, tmp_path, one) as port,
    ):
        for name, wire in SWITCHING.items():
            await said(port, wire, get(target=b"/__stoker/profiles"))
            requests, faults = one.take()
            assert (name, [], []) == (name, faults, [each.line for each in requests if "__stoker" in each.line])
            assert (name, []) == (name, [value for each in requests for value in each.values("upgrade")])


@every_plane
async def test_in_http2_what_can_be_read_in_two_ways_is_refused(
    valkey: EmbeddedValkey, fleet_name: str, kind: str, tmp_path: Path
) -> None:
    async with recorder("production1") as one, plane(kind, valkey, fleet_name, tmp_path, one, tls=True) as port:
        found = {}
        for name, (pairs, pieces) in STREAMS_REFUSED.items():
            status = await status_of(port, pairs, pieces)
            found[name] = wrong(one, most=0) + ([] if status in {None, 400, 404} else [f"answered {status}"])
            found[name] += await _next(one, port)
        assert {} == {name: faults for name, faults in found.items() if faults}


@every_plane
async def test_what_passes_from_http2_is_one_request_that_everybody_reads_alike(
    valkey: EmbeddedValkey, fleet_name: str, kind: str, tmp_path: Path
) -> None:
    async with recorder("production1") as one, plane(kind, valkey, fleet_name, tmp_path, one, tls=True) as port:
        found = {}
        for name, (pairs, pieces) in STREAMS_CLEANED.items():
            await status_of(port, pairs, pieces)
            found[name] = wrong(one) + await _next(one, port)
        for name, trailers in TRAILERS.items():
            await status_of(port, POST, [b"x"], trailers)
            found[f"trailers: {name}"] = wrong(one) + await _next(one, port)
        assert {} == {name: faults for name, faults in found.items() if faults}


@every_plane
@pytest.mark.parametrize("pieces", [[b"x" * 10_000, b"", b"y" * 10_000], [b"z"], [b""]])
async def test_a_body_of_unknown_length_arrives_from_http2_as_it_was_sent(
    valkey: EmbeddedValkey, fleet_name: str, kind: str, tmp_path: Path, pieces: Sequence[bytes]
) -> None:
    async with recorder("production1") as one, plane(kind, valkey, fleet_name, tmp_path, one, tls=True) as port:
        assert 200 == await status_of(port, POST, pieces, silent_s=PATIENT_S)
        assert [b"".join(pieces)] == [each.body for each in one.take()[0]]


async def _next(one: Recorder, port: int) -> list[str]:
    status = await status_of(port, head(path="/next"), silent_s=PATIENT_S)
    # What was reset may arrive late, but never whole.
    lines = [each.line for each in one.take()[0] if each.whole]
    return [] if (status, lines) == (200, ["GET /next HTTP/1.1"]) else [f"the next request: {lines}, answered {status}"]
