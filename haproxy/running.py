"""An agent's process: settings in, the parts put together, the loops run until a signal ends them."""

from __future__ import annotations

import asyncio
import fcntl
import signal
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from fleet.presence import Presence, end
from fleet.snapshot_file import snapshot_file
from fleet.store.opening import open_noticeboard
from haproxy.agent import Agent
from haproxy.binary import find_binary
from haproxy.config_file import ConfigFile
from haproxy.control import serving_worker
from haproxy.crashes import open_crashes
from haproxy.errors import HaproxyError
from haproxy.keeper import Keeper
from haproxy.ledger import boot_id, read_ledger
from haproxy.metrics import exported
from haproxy.render import frame, places
from haproxy.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fleet.settings import Settings
    from haproxy.render import Places

log = structlog.get_logger()


def proxy_id(settings: Settings) -> str:
    """The id under which this HAProxy is known; the same for its agent and its hook, and after a restart."""
    proxy = settings.proxy
    return proxy.id or f"haproxy-{proxy.listen_address.replace(':', '.')}-{proxy.listen_port}"


def ledger_path(settings: Settings) -> Path:
    """Where the counters are kept."""
    return settings.state_path / "haproxy" / f"{proxy_id(settings)}.counters"


def open_agent(settings: Settings) -> Agent:
    """An agent that has not begun. Raises SettingsError, or HaproxyError where no haproxy can be run."""
    where = places(settings)
    file = ConfigFile(where.config)
    path = ledger_path(settings)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    workers = Workers(where, file, read_ledger(path, boot_id()), settings.haproxy.keep_alive_timeout_s + 1, monotonic)
    keeper = Keeper(settings, where, file, find_binary(settings).path, workers, frame(settings), log.info)
    return Agent(settings, proxy_id(settings), workers, keeper, path, log.info)


def run_agent(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; SIGHUP looks at the certificate and the snippets at once.

    HAProxy goes on; only where it has ended, too, its id is taken back.
    """
    with _only_agent(places(settings)):
        asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    agent = open_agent(settings)
    board = open_noticeboard(settings)
    presence = Presence(agent, board, snapshot_file(settings, agent.id), log.warning)
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_signal_handler(signal.SIGHUP, agent.look_at_files)
    await agent.begin()
    try:
        async with open_crashes(settings, agent.id, places(settings).failures, log.info) as agent.crashes:
            forever = (presence.run(), agent.run(), agent.crashes.run(), _ended(ended))
            loops = [loop.create_task(each) for each in forever]
            with exported(settings, agent, presence, log.warning):
                done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for over in done:
                over.result()
            await end(loops, every_s=0.1)
        if await serving_worker(places(settings)) is None and not agent.workers.old:
            await presence.leave()
            log.info("ended with HAProxy")
        else:
            log.info("ended; HAProxy goes on with what it has")
    finally:
        await board.aclose()


async def _ended(event: asyncio.Event) -> None:
    await event.wait()


@contextmanager
def _only_agent(where: Places) -> Iterator[None]:
    lock = where.stats.with_name("agent.lock")
    lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HaproxyError(f"{lock}: another agent runs for this HAProxy") from error
        yield
