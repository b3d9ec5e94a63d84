"""A canary's share and its sticky cookie in a real mitmdump, in the same words as those for HAProxy."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from fleet.backend import Backend, Phase
from fleet.canary_cookie import mark_of
from tests.addon.backends import backend
from tests.addon.rig import client

if TYPE_CHECKING:
    from tests.addon.backends import Backend as Scripted
    from tests.addon.rig import Proxy

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

STABLE = ("production1", "production2", "production3", "production4")
CANARY = "production5"
MARK = mark_of("new")
CONNECTIONS = 4


async def fleet(stack: AsyncExitStack) -> dict[str, Scripted]:
    return {name: await stack.enter_async_context(backend(name)) for name in (*STABLE, CANARY)}


async def publish(plane: Proxy, backends: dict[str, Scripted], weight: int | None, *, sticky: bool = False) -> None:
    """Four at the usual weight, and one canary unless its weight is None; returns once that is applied."""
    entries = {name: Backend(name, Phase.SERVING, backends[name].url) for name in STABLE}
    if weight is not None:
        url = backends[CANARY].url
        entries[CANARY] = Backend(CANARY, Phase.SERVING, url, weight, spec="new", canary=True, sticky=sticky)
    plane.fleet.entries = entries
    generation = plane.fleet.publish()
    await plane.until(lambda reading: reading.generation == generation)


async def ask(plane: Proxy, count: int, *headers: str) -> Counter[str]:
    """Who answered how often, and what cookie was set, over some connections."""
    found = Counter[str]()

    async def some() -> None:
        async with client(plane.port) as connection:
            for _ in range(count // CONNECTIONS):
                answer = await connection.ask("/", *headers)
                found[answer.body.decode()] += 1
                found[answer.headers.get("set-cookie", "")] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(some())
    return found


async def test_a_canary_gets_its_share_until_it_is_cut_or_gone(plane: Proxy) -> None:
    async with AsyncExitStack() as stack:
        backends = await fleet(stack)
        await publish(plane, backends, 100)
        found = await ask(plane, 800)
        assert abs(found[CANARY] / 800 - 0.2) < 0.02
        assert {"", *STABLE, CANARY} == set(found)
        await publish(plane, backends, 0)
        assert {"", *STABLE} == set(await ask(plane, 200))
        await publish(plane, backends, None)
        assert {"", *STABLE} == set(await ask(plane, 200))


async def test_clients_stay_with_their_set_and_the_canarys_go_to_the_stable_one_when_it_is_cut(plane: Proxy) -> None:
    async with AsyncExitStack() as stack:
        backends = await fleet(stack)
        await publish(plane, backends, 100, sticky=True)
        fresh = await ask(plane, 400)
        told = "stoker-set={}-" + MARK + "; Path=/; HttpOnly; SameSite=Lax"
        assert fresh[CANARY] == fresh[told.format("canary")]
        assert abs(fresh[CANARY] / 400 - 0.2) < 0.02
        assert 400 == fresh[told.format("canary")] + fresh[told.format("stable")]
        mine = f"Cookie: a=1; stoker-set=canary-{MARK}"
        assert {"": 100, CANARY: 100} == await ask(plane, 100, mine)
        assert {"", *STABLE} == set(await ask(plane, 100, f"Cookie: stoker-set=stable-{MARK}"))
        for odd in ("stoker-set=sticky", "stoker-set=0", "stoker-set=canary-00000000"):
            assert "" not in await ask(plane, 40, f"Cookie: {odd}")
        await publish(plane, backends, None)
        assert {"", *STABLE} == set(await ask(plane, 100, mine))
