"""How many requests are held, as the agent reads it: of the present, and without a trace in HAProxy."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, cast

import pytest

from haproxy.answers import HELD, INFO, Front, Totals
from haproxy.workers import STALE_S, Seen
from tests.addon.backends import backend
from tests.haproxy.rig import Client, on_both, rig

if TYPE_CHECKING:
    from fleet.embedded import EmbeddedValkey
    from haproxy.runtime_api import Link

LOOKS = 300


def seen() -> Seen:
    front = Front(Totals(), connections=1, stopped=False, in_flight=0, failures=0, active=0)
    return Seen("1@1", 1, cast("Link", None), front, 0, {})


def test_those_that_nobody_has_looked_after_are_held_no_longer() -> None:
    worker = seen()
    worker.hold(3, 60, 10.0)
    assert 3 == worker.held
    worker.hold(3, 60, 10.0 + STALE_S / 2)
    assert 3 == worker.held
    worker.hold(3, 60, 10.0 + STALE_S)
    assert 0 == worker.held
    worker.hold(1, 61, 20.0)
    assert 1 == worker.held


@pytest.mark.live
@pytest.mark.timeout(60)
@on_both
async def test_a_client_that_leaves_while_it_is_held_is_counted_no_longer_than_it_could_wait(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    # HAProxy 2.8 sees a client that leaves only while it has hardly begun to wait.
    async with rig(valkey, fleet_name, binary, hold_s=4) as plane:
        await plane.applied(plane.publish({}))
        _, writer = await asyncio.open_connection("127.0.0.1", plane.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await plane.sees(lambda reading: reading.held == 1, "one is held")
        writer.close()
        await plane.sees(lambda reading: reading.held == 0, "nothing is held")


@pytest.mark.live
@pytest.mark.timeout(60)
@on_both
async def test_asking_leaves_no_task_behind(valkey: EmbeddedValkey, fleet_name: str, binary: str) -> None:
    async with rig(valkey, fleet_name, binary) as plane:
        await plane.applied(plane.publish({}))
        before, *_, after = await plane.ask(INFO, *[HELD] * LOOKS, INFO)
        tasks = [
            int(found[1]) for text in (before, after) if (found := re.search(r"^Tasks: (\d+)", text, re.MULTILINE))
        ]
        assert tasks[1] < tasks[0] + LOOKS / 10


@pytest.mark.live
@pytest.mark.timeout(60)
@on_both
async def test_many_whose_answers_are_slow_are_not_kept_waiting_by_the_steps(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with rig(valkey, fleet_name, binary) as plane, backend("production1") as one:
        await plane.applied(plane.publish({}))
        clients = [asyncio.ensure_future(Client(plane.port, fresh=True).get("/wait")) for _ in range(200)]
        await plane.sees(lambda seen: seen.held == 200, "all are held")
        began = asyncio.get_running_loop().time()
        plane.publish({"production1": one.url})
        await plane.sees(lambda seen: (seen.held, seen.in_flight) == (0, 200), "all were let go")
        # Steps that stay as they are would let the last go after 12 s; without any all would go in the first second.
        assert 2 < asyncio.get_running_loop().time() - began < 8
        one.go.set()
        assert [(200, b"production1")] * 200 == await asyncio.gather(*clients)
