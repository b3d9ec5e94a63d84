"""Requests whose only instances refuse them wait for another one, as those do that are held, and none runs twice."""

from __future__ import annotations

import asyncio
import csv
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

import tests.chaos.live.app
from haproxy.answers import STAT_SERVERS
from stoker.demo.client import Kind
from tests.addon.backends import backend
from tests.chaos.live.load import Load
from tests.chaos.live.records import read_records
from tests.haproxy.rig import STEP_S, Client, Rig, on_both, rig, until
from tests.valkey import folder, free_port, serving

if TYPE_CHECKING:
    import subprocess

    from fleet.embedded import EmbeddedValkey

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

RPS, AWAY_S, FEW_S = 50.0, 3.0, 1.5


def instance(stack: ExitStack, name: str) -> tuple[str, subprocess.Popen[bytes]]:
    """One that writes down what it got, as a process: its url, and how to kill it."""
    port = free_port()
    argv = [sys.executable, "-S", str(tests.chaos.live.app.__file__), "--port", str(port), "--name", name]
    return f"http://127.0.0.1:{port}", stack.enter_context(serving([*argv, "--boot", "0"], port))


@dataclass(frozen=True)
class Moments:
    """When they were killed, when HAProxy had seen that, and when another one was published and served."""

    killed: float
    seen: float
    published: float
    served: float


async def seen_by_haproxy(plane: Rig) -> None:
    """Wait until HAProxy keeps no connection that it might send a request over."""
    async with asyncio.timeout(30):
        while True:
            header, *rows = csv.reader((await plane.ask(STAT_SERVERS))[0].strip().splitlines())
            idle, safe = (header.index(name) for name in ("idle_conn_cur", "safe_conn_cur"))
            if all(row[place] in {"", "0"} for row in rows for place in (idle, safe)):
                return
            await asyncio.sleep(STEP_S)


async def killed_and_replaced(plane: Rig, load: Load, many: int) -> Moments:
    """Kill all of so many instances under load, have another one serve after AWAY_S."""
    with ExitStack() as stack:
        old = [await asyncio.to_thread(instance, stack, f"production{number + 1}") for number in range(many)]
        await plane.applied(plane.publish({f"production{number + 1}": url for number, (url, _) in enumerate(old)}))
        sending = asyncio.ensure_future(load.run(lambda _: RPS, 2 * FEW_S + AWAY_S))
        await asyncio.sleep(FEW_S)
        killed = time.monotonic()
        for _, process in old:
            process.kill()
        for _, process in old:
            await asyncio.to_thread(process.wait)
        await seen_by_haproxy(plane)
        seen = time.monotonic()
        url, _ = await asyncio.to_thread(instance, stack, "production9")
        await asyncio.sleep(AWAY_S / 2)
        plane.publish({})
        await asyncio.sleep(max(0.0, killed + AWAY_S - time.monotonic()))
        published = time.monotonic()
        await plane.applied(plane.publish({"production9": url}))
        served = time.monotonic()
        await sending
    return Moments(killed, seen, published, served)


@on_both
@pytest.mark.parametrize("many", [1, 6], ids=["the only instance", "every one of six"])
async def test_a_killed_fleet_loses_what_it_had_in_flight_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, valkey: EmbeddedValkey, fleet_name: str, binary: str, many: int
) -> None:
    with folder() as record:
        monkeypatch.setenv("RECORD", str(record))
        async with rig(valkey, fleet_name, binary) as plane:
            load = Load("haproxy", plane.port, kinds=(Kind.NEW, Kind.KEPT, Kind.POST))
            at = await killed_and_replaced(plane, load, many)
        begun = [number for one in read_records(record).values() for number in one.begun]
        assert len(begun) == len(set(begun))  # none ran twice
        # Until HAProxy has seen it, a request may be on its way to one that has ended.
        lost = [one for one in load.failed if one.ended_at < at.killed or at.seen < one.sent_at]
        assert [] == [str(one) for one in lost if one.number not in begun]
        waited = [one for one in load.sent if at.seen < one.sent_at < at.published and not one.fault]
        assert len(waited) > RPS / 5
        # HAProxy tries again each second; the rest is room for a busy machine.
        assert max(one.ended_at for one in waited) < at.served + 5.0


@on_both
async def test_a_refused_request_is_answered_by_who_comes_next(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    # A check might tell first, and what comes then is held.
    async with rig(valkey, fleet_name, binary, check='"none"') as plane, backend("production2") as two:
        await plane.applied(plane.publish({"production1": f"http://127.0.0.1:{free_port()}"}))
        asked = asyncio.ensure_future(Client(plane.port, fresh=True).get())
        await plane.sees(lambda seen: seen.in_flight == 1, "it waits")
        plane.publish({})
        plane.publish({"production2": two.url})
        assert (200, b"production2") == await asked
        assert 1 == len(two.asked)
        await plane.sees(lambda seen: seen.in_flight == 0, "nothing is under way")


@on_both
async def test_a_refused_request_waits_no_longer_than_one_that_is_held(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with rig(valkey, fleet_name, binary, hold_s=3, check='"none"') as plane:
        await plane.applied(plane.publish({"production3": f"http://127.0.0.1:{free_port()}"}))
        began = time.monotonic()
        status, _ = await Client(plane.port, fresh=True).get()
        # Up to a second more by its turns, and room for a busy machine.
        assert (503, True) == (status, 2.0 < time.monotonic() - began < 3.0 + 1.0 + 3.0)
        await plane.sees(lambda seen: seen.in_flight == 0, "nothing is under way")


@on_both
async def test_no_reload_while_a_refused_request_waits(valkey: EmbeddedValkey, fleet_name: str, binary: str) -> None:
    # A check might tell first, and what comes then is held.
    async with rig(valkey, fleet_name, binary, check='"none"') as plane, backend("production2") as two:
        await plane.applied(plane.publish({"production1": f"http://127.0.0.1:{free_port()}"}))
        asked = asyncio.ensure_future(Client(plane.port, fresh=True).get())
        await plane.sees(lambda seen: seen.in_flight == 1, "it waits")
        await plane.applied(plane.publish({}))
        reloading = asyncio.ensure_future(plane.reload())
        await until(lambda: "a reload waits" in plane.log(), "the reload waits")
        plane.publish({"production2": two.url})
        assert (200, b"production2") == await asked
        await reloading
