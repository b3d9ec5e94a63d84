"""Whatever is killed: what serves goes on, the fleet converges, and nothing is counted twice."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleet.embedded import EmbeddedValkey
from haproxy.runtime_api import ask_master
from tests.addon.backends import backend
from tests.haproxy.rig import Client, Rig, on_both, rig, until
from tests.valkey import folder

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]


async def counted(plane: Rig, clients: Sequence[Client]) -> None:
    sent = sum(client.sent for client in clients)
    await plane.sees(lambda one: one.arrivals == sent, f"{sent} requests counted")


async def serves_two(client: Client) -> None:
    """Until production2 alone answers, three times in a row."""
    good = 0
    async with asyncio.timeout(30):
        while good < 3:
            good = good + 1 if await client.get() == (200, b"production2") else 0


@on_both
async def test_an_agent_that_is_killed_goes_on_counting_where_it_was(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with rig(valkey, fleet_name, binary) as plane, backend("production1") as one:
        await plane.applied(plane.publish({"production1": one.url}))
        done, client = asyncio.Event(), Client(plane.port, fresh=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(client.keep_asking(done))
            await plane.sees(lambda seen: seen.arrivals > 20, "traffic")
            before = plane.reading()
            plane.stop_agent(signal.SIGKILL)
            plane.start_agent()
            generation = plane.publish({"production1": one.url})
            after = await plane.applied(generation)
            done.set()
        assert before is not None
        assert before.series == after.series
        assert [] == client.lost
        await counted(plane, [client])


@on_both
@pytest.mark.parametrize("who", ["worker", "master"])
async def test_haproxy_that_is_killed_starts_with_the_slots_it_had(
    valkey: EmbeddedValkey, fleet_name: str, binary: str, who: str
) -> None:
    async with AsyncExitStack() as stack, rig(valkey, fleet_name, binary) as plane:
        one, two = [await stack.enter_async_context(backend(f"production{number}")) for number in (1, 2)]
        await plane.applied(plane.publish({"production1": one.url}))
        await plane.applied(plane.publish({"production2": two.url}))
        client = Client(plane.port, fresh=True)
        assert (200, b"production2") == await client.get()
        await counted(plane, [client])
        await until(lambda: "# production2" in (plane.file.read() or ""), "the file follows")
        assert plane.haproxy is not None
        worker = await plane.worker()
        os.kill(worker if who == "worker" else plane.haproxy.pid, signal.SIGKILL)
        await asyncio.to_thread(plane.haproxy.wait, 40)
        plane.stop_agent(signal.SIGKILL)
        await until(lambda: not Path(f"/proc/{worker}").exists(), "the worker is gone")
        await plane.start_haproxy()
        assert (200, b"production2") == await client.get()
        plane.start_agent()
        await plane.applied(plane.publish({"production1": one.url, "production2": two.url}))
        await client.get()
        await counted(plane, [client])


@on_both
async def test_a_haproxy_that_someone_else_restarts_or_reloads_is_brought_in_step_again(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with AsyncExitStack() as stack, rig(valkey, fleet_name, binary) as plane:
        one, two = [await stack.enter_async_context(backend(f"production{number}")) for number in (1, 2)]
        await plane.applied(plane.publish({"production1": one.url}))
        await until(lambda: "# production1" in (plane.file.read() or ""), "the file follows")
        stale = plane.file.read() or ""
        await plane.applied(plane.publish({"production2": two.url}))
        await until(lambda: "# production2" in (plane.file.read() or ""), "the file follows")
        client = Client(plane.port, fresh=True)
        worker = await plane.worker()
        plane.file.path.write_text(stale)
        await ask_master(plane.where.master, "reload", 10)
        async with asyncio.timeout(30):
            while worker == await plane.worker():  # noqa: ASYNC110  # 2.6 reloads after it has answered
                await asyncio.sleep(0.01)
        await serves_two(client)
        await counted(plane, [client])
        worker = await plane.worker()
        plane.stop_haproxy(signal.SIGKILL)
        await until(lambda: not Path(f"/proc/{worker}").exists(), "the worker is gone")
        plane.file.path.write_text(stale)
        await plane.start_haproxy()
        await serves_two(client)
        await counted(plane, [client])


async def test_without_redis_traffic_goes_on_and_restarts_begin_with_the_last_snapshot(fleet_name: str) -> None:
    with folder() as path, EmbeddedValkey(path) as store:
        async with rig(store, fleet_name, "system") as plane, backend("production1") as one:
            await plane.applied(plane.publish({"production1": one.url}))
            store.stop()
            client = Client(plane.port, fresh=True)
            assert (200, b"production1") == await client.get()
            plane.stop_agent()
            plane.stop_haproxy()
            plane.file.path.unlink()
            await plane.start_haproxy()
            plane.start_agent()
            assert any("rendering the last snapshot" in line for line in plane.said)
            assert (200, b"production1") == await client.get()
            store.start()
            reading = await plane.sees(lambda seen: seen.arrivals >= 2, "the agent reports again")
            assert 2 == reading.arrivals


async def test_an_agent_that_ends_leaves_only_together_with_haproxy(valkey: EmbeddedValkey, fleet_name: str) -> None:
    async with rig(valkey, fleet_name, "system") as plane:
        plane.stop_agent()
        sighting = plane.registry.sight(detail=False)
        # Its report lives for some seconds; its name stays.
        assert 1 == len(sighting.readings) + len(sighting.silent)
        plane.start_agent()
        await until(lambda: plane.log().count("a worker serves") == 2, "the agent is back")
        plane.stop_haproxy()
        plane.stop_agent()
        assert ((), ()) == (plane.registry.sight(detail=False).readings, plane.registry.sight(detail=False).silent)


async def test_a_second_agent_is_refused(valkey: EmbeddedValkey, fleet_name: str) -> None:
    async with rig(valkey, fleet_name, "system") as plane:
        first, plane.agent = plane.agent, None
        plane.start_agent()
        second, plane.agent = plane.agent, first
        assert second is not None
        assert 1 == await asyncio.to_thread(second.wait, 40)
        assert "another agent runs for this HAProxy" in plane.log()


@on_both
async def test_a_snippet_that_breaks_the_configuration_changes_nothing(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with rig(valkey, fleet_name, binary) as plane, backend("production1") as one:
        await plane.applied(plane.publish({"production1": one.url}))
        worker, before = await plane.worker(), plane.file.read()
        plane.snippet.write_text("http-request nonsense\n")
        assert plane.agent is not None
        plane.agent.send_signal(signal.SIGHUP)
        await until(lambda: "reload failed" in plane.log(), "the refusal is told")
        assert "'http-request nonsense'" in plane.log()
        assert (worker, before) == (await plane.worker(), plane.file.read())
        await plane.applied(plane.publish({}))
        assert 0 == (await plane.ask("show stat app 4 -1"))[0].count(",UP,")
        assert () == await plane.old_workers()


async def test_a_reload_waits_until_nothing_is_held(valkey: EmbeddedValkey, fleet_name: str) -> None:
    async with rig(valkey, fleet_name, "system") as plane, backend("production1") as one:
        await plane.applied(plane.publish({}))
        held = asyncio.ensure_future(Client(plane.port, fresh=True).get())
        await plane.sees(lambda seen: seen.held == 1, "one is held")
        worker = await plane.worker()
        plane.snippet.write_text("http-response set-header X-New yes\n")
        assert plane.agent is not None
        plane.agent.send_signal(signal.SIGHUP)
        await until(lambda: "a reload waits" in plane.log(), "the reload waits")
        assert worker == await plane.worker()
        plane.publish({"production1": one.url})
        assert (200, b"production1") == await held
        await until(lambda: '"reloaded"' in plane.log(), "reloaded")


async def test_slots_that_run_out_are_doubled_by_one_reload(valkey: EmbeddedValkey, fleet_name: str) -> None:
    async with rig(valkey, fleet_name, "system") as plane, backend("production1") as one:
        names = {f"production{number}": f"http://127.0.0.1:{20000 + number}" for number in range(2, 23)}
        await plane.applied(plane.publish({"production1": one.url, **names}))
        assert 40 == len(plane.file.slots())
        assert 1 == plane.log().count('"reloaded"')
