"""What clients notice, and what is counted, while slots change, HAProxy reloads and the agent is restarted.

No client sends anything twice. Usage: python -m bench.haproxy_losses [system|wheel]
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from bench.machine import machine
from fleet.embedded import EmbeddedValkey
from tests.addon.backends import backend
from tests.haproxy.rig import Client, Rig, rig, until
from tests.valkey import folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

CHANGES, CHANGES_S = 64, 5.0
RELOADS, COUNTED_RELOADS = 20, 5
KEEPERS, FRESH = 12, 4
MOST_CUT = 20
PAUSE_S = 0.02


@asynccontextmanager
async def fleet(store: EmbeddedValkey, name: str, binary: str) -> AsyncIterator[tuple[Rig, dict[str, str]]]:
    async with AsyncExitStack() as stack:
        backends = [await stack.enter_async_context(backend(f"production{number}")) for number in range(1, 9)]
        plane = await stack.enter_async_context(rig(store, name, binary))
        urls = {one.name: one.url for one in backends}
        await plane.applied(plane.publish(urls))
        yield plane, urls


@asynccontextmanager
async def load(plane: Rig, keepers: int, fresh: int) -> AsyncIterator[list[Client]]:
    done = asyncio.Event()
    clients = [Client(plane.port, fresh=number >= keepers) for number in range(keepers + fresh)]
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.keep_asking(done, PAUSE_S))
        yield clients
        done.set()


def told(clients: Sequence[Client]) -> str:
    sent, lost = sum(one.sent for one in clients), [fault for one in clients for fault in one.lost]
    return f"{sent} sent, {len(lost)} lost{f' ({lost[:5]})' if lost else ''}, {cut(clients)} cut while idle"


def cut(clients: Sequence[Client]) -> int:
    return sum(one.cut_idle for one in clients)


def lost(clients: Sequence[Client]) -> int:
    return sum(len(one.lost) for one in clients)


async def changes(store: EmbeddedValkey, binary: str) -> int:
    async with fleet(store, "changes", binary) as (plane, urls):
        worker = await plane.worker()
        names = list(urls)
        async with load(plane, KEEPERS, FRESH) as clients:
            for change in range(CHANGES):
                away = names[change % len(names)]
                plane.publish({name: url for name, url in urls.items() if change % 2 or name != away})
                await asyncio.sleep(CHANGES_S / CHANGES)
        same = worker == await plane.worker()
        print(f"{CHANGES} changes in {CHANGES_S:g} s: {told(clients)}; must be 0 lost; no reload: {same}")
        return int(lost(clients) > 0 or cut(clients) > 0 or not same)


async def reloads(store: EmbeddedValkey, binary: str) -> int:
    async with fleet(store, "reloads", binary) as (plane, _):
        async with load(plane, KEEPERS, FRESH) as clients:
            for _ in range(RELOADS):
                await plane.reload()
        keepers, fresh = clients[:KEEPERS], clients[KEEPERS:]
        print(f"{RELOADS} reloads, clients with a connection each: {told(fresh)}; must be 0 lost")
        print(f"{RELOADS} reloads, {KEEPERS} keep-alive clients: {told(keepers)}; must be {MOST_CUT} cut or less")
        return int(lost(clients) > 0) + int(cut(keepers) > MOST_CUT)


async def arrivals(store: EmbeddedValkey, binary: str, *, fresh: bool) -> int:
    name = "fresh" if fresh else "kept"
    async with fleet(store, name, binary) as (plane, _):
        async with load(plane, 0 if fresh else KEEPERS, KEEPERS if fresh else 0) as clients:
            for number in range(COUNTED_RELOADS):
                await plane.reload()
                if number == COUNTED_RELOADS // 2:
                    plane.stop_agent(signal.SIGKILL)
                    before = plane.log().count("a worker serves")
                    plane.start_agent()
                    await until(lambda: plane.log().count("a worker serves") > before, "it is back")  # noqa: B023
        await asyncio.sleep(6)  # the old workers' last connections close
        sent, reading = sum(one.sent for one in clients), plane.reading()
        counted = reading.arrivals if reading else 0
        good = counted == sent if fresh else sent * 0.999 <= counted <= sent
        rule = "equal" if fresh else "within 0.1 %, never more"
        print(f"{COUNTED_RELOADS} reloads, the agent killed and started, {name} connections: {sent} sent, "
              f"{counted} counted; must be {rule}: {good}")  # fmt: skip
        return int(not good)


async def main(binary: str) -> int:
    with folder() as path, EmbeddedValkey(path) as store:
        missed = await changes(store, binary)
        missed += await reloads(store, binary)
        missed += await arrivals(store, binary, fresh=True)
        missed += await arrivals(store, binary, fresh=False)
    return missed


if __name__ == "__main__":
    print(machine())
    sys.exit(asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "system")))
