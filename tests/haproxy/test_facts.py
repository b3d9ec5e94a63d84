"""What the design leans on, asked of both HAProxy versions themselves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from haproxy.answers import STAT_BACKEND, STAT_FRONTEND, STAT_SERVERS, STATE, read_front, read_servers, read_slots
from haproxy.commands import NUMBERED, SetAddress, fault
from haproxy.runtime_api import RuntimeApi, ask_master
from tests.addon.backends import backend
from tests.haproxy.rig import Client, Rig, on_both, rig, until
from tests.valkey import free_port

if TYPE_CHECKING:
    from fleet.embedded import EmbeddedValkey

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]


async def put(plane: Rig, port: int, *more: str) -> None:
    await plane.ask(f"set server app/s1 addr 127.0.0.1 port {port}", "set server app/s1 state ready", *more)


@on_both
async def test_half_of_a_configured_weight_of_one_is_nothing_so_slots_have_a_hundred(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with rig(valkey, fleet_name, binary) as plane:
        plane.stop_agent()
        weight, *_ = await plane.ask("get weight app/s1")
        assert "100 (initial 100)" == weight
        await plane.ask("set server app/s1 weight 50%")
        assert ["50 (initial 100)"] == await plane.ask("get weight app/s1")


@on_both
async def test_a_port_above_65535_is_wrapped_without_a_word(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with rig(valkey, fleet_name, binary) as plane:
        plane.stop_agent()
        await plane.ask("set server app/s1 addr 127.0.0.1 port 99999")
        assert 99999 - 65536 == read_slots((await plane.ask(STATE))[0], {}, {})[0].port


@on_both
async def test_a_slot_disabled_in_the_file_keeps_that_bit_when_it_is_made_ready(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with rig(valkey, fleet_name, binary) as plane:
        plane.stop_agent()
        await plane.ask("set server app/s1 state ready")
        (state,) = await plane.ask(STATE)
        row = next(line.split() for line in state.splitlines() if " s1 " in line)
        assert "4" == row[6]
        assert [True, False] == [slot.enabled for slot in read_slots(state, {}, {})[:2]]


@on_both
async def test_arrivals_count_when_a_request_comes_completions_when_it_ends(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with rig(valkey, fleet_name, binary) as plane, backend("production1") as one:
        plane.stop_agent()
        await put(plane, one.port)
        client = Client(plane.port, fresh=True)
        slow = asyncio.ensure_future(client.get("/wait"))
        await one.arrived.wait()
        frontend, backends, servers = await plane.ask(STAT_FRONTEND, STAT_BACKEND, STAT_SERVERS)
        front = read_front(frontend, backends)
        assert (1, 0, 1) == (front.totals.arrivals, front.totals.completions, front.in_flight)
        assert (1, 1) == ((s1 := read_servers(servers)["s1"]).arrivals, s1.in_flight)
        one.go.set()
        await slow
        # The client has its answer a moment before HAProxy is done with the request.
        async with asyncio.timeout(30):
            while front.in_flight:
                front = read_front(*await plane.ask(STAT_FRONTEND, STAT_BACKEND))
        assert (1, 1) == (front.totals.arrivals, front.totals.completions)


@on_both
async def test_a_replaced_worker_stays_while_it_is_spoken_to_and_can_be_read_but_not_changed(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with rig(valkey, fleet_name, binary) as plane:
        plane.stop_agent()
        link, old = RuntimeApi(plane.where.stats), await plane.worker()
        await link.open()
        await ask_master(plane.where.master, "reload", 10)
        for _ in range(500):
            if read_front(*await link.ask(STAT_FRONTEND, STAT_BACKEND)).stopped:
                break
            await asyncio.sleep(0.01)
        assert ["[3]: Proxy is disabled."] == [said.strip() for said in await link.ask("set server app/s1 weight 5")]
        assert (old,) == await plane.old_workers()
        link.close()
        for _ in range(500):
            if not await plane.old_workers():
                break
            await asyncio.sleep(0.01)
        assert () == await plane.old_workers()


@on_both
async def test_a_request_under_way_finishes_while_its_slot_goes_elsewhere(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with rig(valkey, fleet_name, binary) as plane, backend("one") as one, backend("two") as two:
        plane.stop_agent()
        await put(plane, one.port)
        slow = asyncio.ensure_future(Client(plane.port, fresh=True).get("/wait"))
        await one.arrived.wait()
        await plane.ask("set server app/s1 state maint")
        await put(plane, two.port)
        assert (200, b"two") == await Client(plane.port, fresh=True).get()
        one.go.set()
        assert (200, b"one") == await slow


@on_both
async def test_answers_are_those_that_are_accepted(valkey: EmbeddedValkey, fleet_name: str, binary: str) -> None:
    async with rig(valkey, fleet_name, binary) as plane:
        plane.stop_agent()
        command = SetAddress("s1", "127.0.0.1", free_port())
        answers = await plane.ask(NUMBERED, command.text, command.text)
        assert [None, None] == [fault(command, answer) for answer in answers[1:]]
        missing = SetAddress("s999", "127.0.0.1", 80)
        assert (await plane.ask(missing.text))[0].startswith("[3]: No such server")


@on_both
async def test_slow_start_begins_when_a_slot_leaves_maintenance(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with rig(valkey, fleet_name, binary, slow_start_s=20) as plane, backend("production1") as one:
        plane.stop_agent()
        await put(plane, one.port)
        (servers,) = await plane.ask(STAT_SERVERS)
        header, *rows = (line.removeprefix("# ").split(",") for line in servers.splitlines() if line)
        row = next(row for row in rows if row[1] == "s1")
        assert 0 < int(row[header.index("throttle")]) < 50


@on_both
async def test_only_a_connection_that_failed_is_tried_elsewhere_and_a_refusal_is_reported(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with rig(valkey, fleet_name, binary, check='"none"') as plane, backend("production2") as two:
        dead = f"http://127.0.0.1:{free_port()}"
        await plane.applied(plane.publish({"production1": dead, "production2": two.url}))
        client = Client(plane.port, fresh=True)
        assert {(200, b"production2")} == {await client.get() for _ in range(4)}
        reading = await plane.sees(lambda seen: seen.refused > 0, "refusals are reported")
        assert reading.backends is not None
        assert (0, True) == (reading.backends["production2"].refused, reading.backends["production1"].refused > 0)
        asked = len(two.asked)
        with pytest.raises(AssertionError):
            await until(lambda: len(two.asked) > asked, "nothing is sent by itself", within_s=0.2)
        assert 502 == (await client.get("/drop"))[0]
        assert asked + 1 == len(two.asked)
