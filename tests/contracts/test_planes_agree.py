"""One table of requests, sent through both data planes: they answer the same, and show a backend the same."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from fleet.settings import load
from tests.addon.backends import Asked, Backend, backend
from tests.addon.rig import client, proxy
from tests.haproxy.rig import on_both, rig

if TYPE_CHECKING:
    from pathlib import Path

    from fleet.embedded import EmbeddedValkey

pytestmark = [pytest.mark.live, pytest.mark.timeout(90)]

FRESH, HERE = "one of the plane's own", "127.0.0.1"
IDS = {"x-request-id": re.compile(r"[A-Za-z0-9._-]{16,128}"), "x-stoker-request": re.compile(r"[0-9a-f]{32}")}
OURS = {
    "host": "app.example",
    "x-forwarded-for": HERE,
    "x-forwarded-host": "app.example",
    "x-forwarded-proto": "http",
    "x-request-id": FRESH,
    "x-stoker-request": FRESH,
}


@dataclass(frozen=True)
class Row:
    """A request; `passed` is what the backend sees beside OURS, `believed` what more where its client is trusted."""

    headers: tuple[str, ...] = ()
    target: str = "/"
    passed: dict[str, str] = field(default_factory=dict)
    believed: dict[str, str] = field(default_factory=dict)


FORWARDED = {
    "nothing said": Row(),
    "an app's own headers": Row(("Cookie: a=b", "X-Other: 1"), passed={"cookie": "a=b", "x-other": "1"}),
    "a header twice": Row(("X-Other: 1", "x-other: 2"), passed={"x-other": "1, 2"}),
    "an address": Row(("X-Forwarded-For: 6.6.6.6",), believed={"x-forwarded-for": f"6.6.6.6, {HERE}"}),
    "two addresses": Row(
        ("X-Forwarded-For: 6.6.6.6, 7.7.7.7", "x-forwarded-for: 8.8.8.8"),
        believed={"x-forwarded-for": f"6.6.6.6, 7.7.7.7, 8.8.8.8, {HERE}"},
    ),
    "a host": Row(("X-Forwarded-Host: evil",), believed={"x-forwarded-host": "evil"}),
    "a scheme": Row(("x-forwarded-proto: https",), believed={"x-forwarded-proto": "https"}),
    "a port": Row(("X-Forwarded-Port: 1",), believed={"x-forwarded-port": "1"}),
    "a header of that family": Row(("X-Forwarded-Anything: 1",), believed={"x-forwarded-anything": "1"}),
    "the standard's header": Row(("Forwarded: for=6.6.6.6",), believed={"forwarded": "for=6.6.6.6"}),
    "an id": Row(("X-Request-Id: a.B_c-9",), believed={"x-request-id": "a.B_c-9"}),
    "the longest id": Row((f"X-Request-Id: {'x' * 128}",), believed={"x-request-id": "x" * 128}),
    "an id too long": Row((f"X-Request-Id: {'x' * 129}",)),
    "an id with a blank": Row(("X-Request-Id: a b",)),
    "an id that is none": Row(("X-Request-Id: a;b",)),
    "an empty id": Row(("X-Request-Id:",)),
    "two ids": Row(("X-Request-Id: one", "X-Request-Id: two")),
    "two ids in one": Row(("X-Request-Id: one, two",)),
    "names with underscores": Row(("X_Forwarded_For: 6.6.6.6", "X_Stoker_Request: a", "X-Request_Id: a")),
    "a stoker request": Row(("X-Stoker-Request: 0123456789abcdef0123456789abcdef",)),
    "other stoker headers": Row(("x-stoker-profile: secret", "X-STOKER-TOKEN: secret", "X-Stoker-Profile: b")),
    "a path like ours": Row(target="/__stokers/profiles"),
    "our path further down": Row(target="/a/__stoker/profiles"),
    "our path in a query": Row(target="/a?to=/../__stoker/profiles"),
    "a path that is encoded": Row(target="/a%20b/%5f%2F%zz?c=%41"),
}
RESERVED = (
    *("/__stoker", "/__stoker/profiles", "/__stoker?a", "/__stoker;a/profiles", "/__stoker/%zz", "/__stoker/../a"),
    *(
        "/%5f_stoker/profiles",
        "/_%5F%73toker",
        "//__stoker/profiles",
        "/./__stoker",
        "/%2f__stoker",
        "/__stoker%2fprofiles",
    ),
    *("/a/../__stoker/profiles", "/a/%2e%2E/__stoker", "/a/b/../..//./__stoker/profiles?x=1"),
    *("http://app.example/__stoker/profiles", "http://app.example//%5F_stoker/profiles"),
)
REFUSED = ("__stoker/profiles", "%2f__stoker/profiles", "a", "..")


def shown(asked: Asked, row: Row) -> dict[str, str]:
    """The headers as the backend sees them; an id that the client did not send has to be in its form."""
    seen = {name: asked.header(name) or "" for name in {key.lower() for key, _ in asked.headers}}
    for name, form in IDS.items():
        sent = [line.partition(":")[2].strip() for line in row.headers if line.lower().startswith(name)]
        if seen.get(name) not in sent and form.fullmatch(seen.get(name, "")):
            seen[name] = FRESH
    return seen


async def answered(port: int, target: str, *headers: str) -> int:
    async with client(port) as connection:
        return (await connection.ask(target, *headers)).status


async def forwarded(port: int, one: Backend) -> dict[str, tuple[str, dict[str, str]]]:
    """The request line and the headers that the backend saw of each row."""
    seen = {}
    for name, row in FORWARDED.items():
        one.asked.clear()
        assert (name, 200) == (name, await answered(port, row.target, *row.headers))
        seen[name] = one.asked[0].line, shown(one.asked[0], row)
    return seen


@on_both
@pytest.mark.parametrize("trusted", ["", '"127.0.0.0/8"'], ids=["a stranger", "a trusted proxy"])
async def test_both_planes_show_a_backend_the_same(
    valkey: EmbeddedValkey, fleet_name: str, binary: str, trusted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOKER_PROXY__TRUSTED_PROXIES", f"[{trusted}]")
    expected = {
        name: (f"GET {row.target} HTTP/1.1", OURS | row.passed | (row.believed if trusted else {}))
        for name, row in FORWARDED.items()
    }
    settings = load(None, fleet=f"{fleet_name}-m", redis_url=valkey.url, state_dir=tmp_path)
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(backend("production1"))
        plane = await stack.enter_async_context(rig(valkey, fleet_name, binary))
        other = stack.enter_context(proxy(settings, tmp_path))
        await plane.applied(plane.publish({"production1": one.url}))
        await other.serve(one)
        ports = {"haproxy": plane.port, "mitmproxy": other.port}
        for name, port in ports.items():
            seen = await forwarded(port, one)
            assert {} == {(name, row): seen[row] for row, wanted in expected.items() if seen[row] != wanted}
        one.asked.clear()
        for target, status in [*((each, 404) for each in RESERVED), *((each, 400) for each in REFUSED)]:
            assert (target, dict.fromkeys(ports, status)) == (
                target,
                {name: await answered(port, target) for name, port in ports.items()},
            )
        assert [] == one.asked
