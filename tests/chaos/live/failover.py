"""A master that dies under Sentinel: the replica takes over, and with it the fleet's data.

python -m tests.chaos.live.failover
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fleet.embedded import server_binary
from tests.chaos.live.directed import Found, alone, loaded, order
from tests.chaos.live.part import Part, until
from tests.chaos.live.server import Server
from tests.chaos.live.stage import stage
from tests.valkey import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

RECOVERS_S = 20.0
SENTINEL = """port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor chaos 127.0.0.1 {master} 2
sentinel down-after-milliseconds chaos 1500
sentinel failover-timeout chaos 5000
sentinel parallel-syncs chaos 1
"""


@asynccontextmanager
async def sentinels(folder: Path, master: Server) -> AsyncIterator[str]:
    """A replica of that master and three sentinels; the url by which a client finds whoever is the master."""
    replica = Server(folder / "replica", free_port(), {}, ("--replicaof", "127.0.0.1", str(master.port)))
    await replica.start()
    ports = [free_port() for _ in range(3)]
    watching = [
        Part(
            f"sentinel{port}",
            _sentinel(folder / str(port), port, master.port),
            dict(os.environ),
            folder / f"{port}.log",
        )
        for port in ports
    ]
    for part in watching:
        part.start()
    try:
        await until(lambda: b"master_link_status:up" in replica.ask("INFO", "replication"), "the replica follows")
        yield f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in ports)}/chaos"
    finally:
        for part in (*watching, replica.part):
            part.kill()


def _sentinel(folder: Path, port: int, master: int) -> list[str]:
    folder.mkdir()
    file = folder / "sentinel.conf"
    file.write_text(SENTINEL.format(port=port, folder=folder, master=master), encoding="ascii")
    return [server_binary(), str(file), "--sentinel"]


async def failover(rps: float = 40.0) -> Found:
    """The master is killed under load; nothing fails, nothing is stopped or started."""
    found = Found()
    async with stage(sentinels=sentinels) as made, loaded(made, rps) as loads:
        await order(made, 3)
        await until(lambda: made.watch.settled(3, 2), "3 serve")
        await asyncio.sleep(3.0)
        before = made.instances()
        made.server.part.kill()
        missed_s = await until(lambda: made.watch.last.status is None, "the master is missed")
        took_s = missed_s + await until(
            lambda: bool(made.watch.acting) and made.watch.settled(3, 2), "whole on the replica"
        )
        found.within("from the master's death until the fleet is whole on the replica", took_s, RECOVERS_S)
        await asyncio.sleep(5.0)
        found.must(made.instances() == before, f"{sorted(before)} ran, {sorted(made.instances())} do now")
        found.once_and_whole(made)
    found.lossless(loads)
    return found


if __name__ == "__main__":
    sys.exit(alone(failover()))
