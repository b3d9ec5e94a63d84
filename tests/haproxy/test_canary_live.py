"""A canary's share in a real haproxy of both versions, in either way of balancing."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from fleet.backend import Backend, Phase
from fleet.canary_cookie import mark_of
from tests.addon.backends import backend
from tests.haproxy.rig import Rig, on_both, rig

if TYPE_CHECKING:
    from fleet.embedded import EmbeddedValkey
    from tests.addon.backends import Backend as Scripted

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]

STABLE = ("production1", "production2", "production3", "production4")
CANARY = "production5"
MARK = mark_of("new")


async def fleet(stack: AsyncExitStack) -> dict[str, Scripted]:
    return {name: await stack.enter_async_context(backend(name)) for name in (*STABLE, CANARY)}


def published(backends: dict[str, Scripted], weight: int, *, sticky: bool = False) -> dict[str, Backend]:
    """Four at the usual weight, and one canary."""
    found = {name: Backend(name, Phase.SERVING, backends[name].url) for name in STABLE}
    url = backends[CANARY].url
    return found | {CANARY: Backend(CANARY, Phase.SERVING, url, weight, spec="new", canary=True, sticky=sticky)}


async def ask(plane: Rig, count: int, cookie: str = "") -> Counter[str]:
    """What was answered, over four connections: who it was, and what cookie was set."""
    found = Counter[str]()
    head = f"Cookie: {cookie}\r\n" if cookie else ""

    async def some() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", plane.port)
        for _ in range(count // 4):
            writer.write(f"GET / HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())
            answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(answer.partition("content-length: ")[2].partition("\r\n")[0])
            found[(await reader.readexactly(length)).decode()] += 1
            found[answer.partition("set-cookie: ")[2].partition("\r\n")[0]] += 1
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(some())
    return found


@on_both
@pytest.mark.parametrize("balance", ["round_robin", "least_in_flight"])
async def test_a_canary_gets_its_share_without_a_reload_until_it_is_gone(
    valkey: EmbeddedValkey, fleet_name: str, binary: str, balance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOKER_PROXY__BALANCE", balance)
    async with AsyncExitStack() as stack, rig(valkey, fleet_name, binary) as plane:
        backends = await fleet(stack)
        worker = await plane.worker()
        await plane.applied(plane.publish(published(backends, 100)))
        found = await ask(plane, 4000)
        # HAProxy draws for each request: of 4,000 draws of a fifth more than this is off once in fifty million times.
        assert abs(found[CANARY] / 4000 - 0.2) < 0.035
        assert {"", *STABLE, CANARY} == set(found)
        await plane.applied(plane.publish(published(backends, 0)))
        assert {"", *STABLE} == set(await ask(plane, 400))
        await plane.applied(plane.publish({name: backends[name].url for name in STABLE}))
        assert {"", *STABLE} == set(await ask(plane, 400))
        assert worker == await plane.worker()


@on_both
async def test_clients_stay_with_their_set_and_the_canarys_go_to_the_stable_one_when_it_is_cut(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with AsyncExitStack() as stack, rig(valkey, fleet_name, binary) as plane:
        backends = await fleet(stack)
        await plane.applied(plane.publish(published(backends, 100, sticky=True)))
        fresh = await ask(plane, 400)
        told = "stoker-set={}-" + MARK + "; path=/; httponly; samesite=lax"
        assert fresh[CANARY] == fresh[told.format("canary")] > 0
        assert 400 == fresh[told.format("canary")] + fresh[told.format("stable")]
        mine = f"a=1; stoker-set=canary-{MARK}"
        assert {"": 100, CANARY: 100} == await ask(plane, 100, mine)
        assert {"", *STABLE} == set(await ask(plane, 100, f"stoker-set=stable-{MARK}"))
        for odd in ("stoker-set=sticky", "stoker-set=0", "stoker-set=rows", "stoker-set=canary-00000000"):
            assert "" not in await ask(plane, 100, odd)
        await plane.applied(plane.publish({name: backends[name].url for name in STABLE}))
        assert {"", *STABLE} == set(await ask(plane, 100, mine))


@on_both
async def test_the_share_outlives_a_reload_a_restart_and_a_dead_canary(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with AsyncExitStack() as stack, AsyncExitStack() as other, rig(valkey, fleet_name, binary) as plane:
        backends = await fleet(stack) | {CANARY: await other.enter_async_context(backend(CANARY))}
        await plane.applied(plane.publish(published(backends, 200)))
        await plane.reload()
        assert (await ask(plane, 200))[CANARY] > 0
        plane.stop_agent()
        plane.stop_haproxy()
        await plane.start_haproxy()
        assert (await ask(plane, 200))[CANARY] > 0
        await other.aclose()
        # Until then a request may be written to a pooled connection that has ended; the client has to send it again.
        await plane.left("s5")
        found = await ask(plane, 200)
        assert 200 == sum(found[name] for name in STABLE)
