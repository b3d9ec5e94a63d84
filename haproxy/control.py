"""Making HAProxy load its file again: told through the master socket, by a signal or by a command of the user's."""

from __future__ import annotations

import asyncio
import os
import signal
from time import monotonic
from typing import TYPE_CHECKING

from haproxy.answers import INFO, read_info
from haproxy.errors import HaproxyError, NotListeningError
from haproxy.runtime_api import Processes, RuntimeApi, ask_master, processes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from fleet.settings import Settings
    from haproxy.answers import Info
    from haproxy.render import Places

STEP_S = 0.05
STEADY_S = 0.5
MASTER_OPENS_S = 2.0


async def running_worker(places: Places) -> Info | None:
    """The worker that takes new requests; None where nobody listens at the stats socket.

    Raises HaproxyError where somebody listens who does not answer as a worker of HAProxy does.
    """
    link = RuntimeApi(places.stats)
    try:
        await link.open()
        info = read_info((await link.ask(INFO))[0])
    except NotListeningError:
        return None
    finally:
        link.close()
    return None if info.stopping else info


async def serving_worker(places: Places) -> Info | None:
    """The worker that takes new requests; None while there is none, or none that answers."""
    try:
        return await running_worker(places)
    except HaproxyError:
        return None


async def reload(settings: Settings, places: Places, meanwhile: Callable[[], Awaitable[None]]) -> int:
    """Have the file loaded and wait until a new worker serves; returns its pid. `meanwhile` runs while waiting.

    Raises HaproxyError where none comes up in time; the former worker then goes on.
    """
    before = await serving_worker(places)
    known = await _tell(settings, places)
    deadline = monotonic() + settings.haproxy.reload_timeout_s
    while monotonic() < deadline:
        await meanwhile()
        info = await serving_worker(places)
        if info is not None and (before is None or info.pid != before.pid):
            return await _steady(places, info.pid, meanwhile)
        if known is not None:
            await _refuse_failure(places, known)
        await asyncio.sleep(STEP_S)
    raise HaproxyError(f"no new worker served within {settings.haproxy.reload_timeout_s:g} s; see HAProxy's own log")


async def _tell(settings: Settings, places: Places) -> Processes | None:
    own = settings.haproxy
    try:
        known = await _known(places)
    except HaproxyError as error:
        if own.reload_command:
            await _run(own.reload_command)
        elif own.pid_file:
            _signal(own.pid_file)
        else:
            raise HaproxyError(f"{error}; set haproxy.master_socket, reload_command or pid_file") from error
        return None
    answer = await ask_master(places.master, "reload", own.reload_timeout_s)
    if answer.startswith("Success=0"):
        raise HaproxyError(f"HAProxy did not take the new file: {' '.join(answer.split())[:400]}")
    return known


async def _known(places: Places) -> Processes:
    """A master that has just started or reloaded opens its socket a moment after its workers listen."""
    deadline = monotonic() + MASTER_OPENS_S
    while True:
        try:
            return await processes(places.master)
        except HaproxyError:
            if monotonic() > deadline or not places.master.exists():
                raise
        await asyncio.sleep(STEP_S)


async def _refuse_failure(places: Places, known: Processes) -> None:
    try:
        found = await processes(places.master)
    except HaproxyError:
        return  # the master closes its socket for a moment
    if found.failed and found.reloads > known.reloads and set(found.workers) <= set(known.workers):
        raise HaproxyError("HAProxy did not take the new file; its own log says why")


async def _steady(places: Places, pid: int, meanwhile: Callable[[], Awaitable[None]]) -> int:
    """A worker that dies at once has not served."""
    deadline = monotonic() + STEADY_S
    while monotonic() < deadline:
        await meanwhile()
        await asyncio.sleep(STEP_S)
    info = await serving_worker(places)
    if info is None or info.pid != pid:
        raise HaproxyError(f"the new worker {pid} died at once; see HAProxy's own log")
    return pid


async def _run(command: tuple[str, ...]) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
        )
    except OSError as error:
        raise HaproxyError(f"haproxy.reload_command: {command[0]} cannot be run: {error.strerror}") from error
    if code := await process.wait():
        raise HaproxyError(f"haproxy.reload_command: {command[0]} ended with exit code {code}")


def _signal(path: Path) -> None:
    try:
        os.kill(int(path.read_text(encoding="ascii").split()[0]), signal.SIGUSR2)
    except (OSError, ValueError, IndexError) as error:
        raise HaproxyError(f"haproxy.pid_file: {path} does not lead to a running HAProxy: {error}") from error
