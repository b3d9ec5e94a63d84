"""What a site may switch on, as clients meet it: TLS with HTTP/2, sticky cookies, a bound for each instance."""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.addon.backends import backend
from tests.haproxy.rig import Client, Rig, on_both, rig, until
from tests.valkey import folder

if TYPE_CHECKING:
    from pathlib import Path

    from fleet.embedded import EmbeddedValkey

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]


def program(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def certify(path: Path, common_name: str) -> None:
    """Write a certificate of our own, and its key, as one PEM file."""
    key, certificate = path.with_suffix(".key"), path.with_suffix(".crt")
    subject = ("-subj", f"/CN={common_name}", "-addext", "subjectAltName=DNS:app.test")
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    program("openssl", "req", "-x509", *kind, *subject, "-keyout", str(key), "-out", str(certificate))
    path.write_bytes(certificate.read_bytes() + key.read_bytes())


async def curl(plane: Rig, *words: str) -> list[str]:
    """Ask the plane by TLS, believing its certificate alone; returns what was asked for by `words`."""
    route = ("--connect-to", f"app.test:443:127.0.0.1:{plane.port}", "https://app.test/")
    told = await asyncio.to_thread(program, "curl", "--silent", "--show-error", "--max-time", "10", *words, *route)
    return told.split()


@on_both
async def test_clients_speak_http_2_by_tls_and_a_renewed_certificate_is_loaded(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    with folder() as path:
        pem, trusted = path / "site.pem", path / "site.crt"
        await asyncio.to_thread(certify, pem, "first")
        ask = ("--cacert", str(trusted), "--write-out", " %{http_version} %{http_code}")
        async with rig(valkey, fleet_name, binary, certificate=f'"{pem}"') as plane, backend("production1") as one:
            await plane.applied(plane.publish({"production1": one.url}))
            assert ["production1", "2", "200"] == await curl(plane, "--http2", *ask)
            assert ["production1", "1.1", "200"] == await curl(plane, "--http1.1", *ask)
            assert ["https", "https"] == [asked.header("x-forwarded-proto") for asked in one.asked]
            assert ["HTTP/1.1", "HTTP/1.1"] == [asked.line.split()[2] for asked in one.asked]
            await asyncio.to_thread(certify, pem, "second")
            await plane.reload()
            assert ["production1", "2", "200"] == await curl(plane, "--http2", *ask)
            await plane.sees(lambda seen: seen.arrivals == 3, "every request counted")


@on_both
async def test_a_cookie_keeps_a_client_with_its_instance_while_that_serves(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with AsyncExitStack() as stack, rig(valkey, fleet_name, binary, sticky_cookie='"stays"') as plane:
        names = [f"production{number}" for number in (1, 2, 3)]
        backends = {name: await stack.enter_async_context(backend(name)) for name in names}
        urls = {name: one.url for name, one in backends.items()}
        await plane.applied(plane.publish(urls))
        home, cookie = await cookie_of(plane)
        assert {home} == {(await cookie_of(plane, cookie))[0] for _ in range(6)}
        assert not any("stays=" in (asked.header("cookie") or "") for one in backends.values() for asked in one.asked)
        await plane.reload()
        assert {home} == {(await cookie_of(plane, cookie))[0] for _ in range(6)}
        await plane.applied(plane.publish({name: url for name, url in urls.items() if name != home}))
        moved, renewed = await cookie_of(plane, cookie)
        assert home != moved
        assert cookie != renewed
        await plane.applied(plane.publish(urls))
        assert {moved} == {(await cookie_of(plane, renewed))[0] for _ in range(6)}


async def cookie_of(plane: Rig, cookie: str = "") -> tuple[str, str]:
    """Who answered a client with this cookie, and the cookie that it has then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", plane.port)
    sent = f"Cookie: a=b; {cookie}\r\n" if cookie else ""
    writer.write(f"GET / HTTP/1.1\r\nHost: app.test\r\n{sent}Connection: close\r\n\r\n".encode())
    head, _, body = (await reader.read(-1)).decode().partition("\r\n\r\n")
    writer.close()
    given = [line.split(": ", 1)[1] for line in head.splitlines() if line.lower().startswith("set-cookie:")]
    return body, given[0].partition(";")[0] if given else cookie


@on_both
async def test_an_instance_gets_no_more_at_once_than_it_may_and_those_that_were_held_wait_in_haproxy(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with rig(valkey, fleet_name, binary, max_in_flight=2) as plane, backend("production1") as one:
        await plane.applied(plane.publish({}))
        clients = [asyncio.ensure_future(Client(plane.port, fresh=True).get("/wait")) for _ in range(6)]
        await plane.sees(lambda seen: seen.held == 6, "all are held")
        await plane.applied(plane.publish({"production1": one.url}))
        await plane.sees(lambda seen: (seen.held, seen.in_flight) == (0, 6), "all were let go")
        await plane.sees(
            lambda seen: [2] == [each.in_flight for each in (seen.backends or {}).values()], "two are there"
        )
        await until(lambda: 2 == len(one.asked), "no more and no fewer have arrived")
        one.go.set()
        assert [(200, b"production1")] * 6 == await asyncio.gather(*clients)
        await plane.sees(lambda seen: (seen.arrivals, seen.in_flight) == (6, 0), "every request counted")
