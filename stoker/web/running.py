"""`stoker web`: one server, one watch over the store, until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from fleet.clock import Clock
from fleet.errors import StoreUnavailableError
from fleet.store.opening import open_crash_desk, open_desk
from stoker.errors import CommandError
from stoker.web.app import build
from stoker.web.board import Board
from stoker.web.drawing import Drawings
from stoker.web.files import read_files
from stoker.web.hub import Hub
from stoker.web.watch import Door, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fleet.crash import CrashDesk
    from fleet.registry import Desk
    from fleet.settings import Settings

END_WITHIN_S = 3
ENDING = (signal.SIGINT, signal.SIGTERM)
BACKLOG = 256


class Server(uvicorn.Server):
    """Ends its streams when it is asked to end, which uvicorn alone would wait for."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM end it in order, with exit code 0."""
        loop = asyncio.get_running_loop()
        for number in ENDING:
            loop.add_signal_handler(number, self.end)
        try:
            yield
        finally:
            for number in ENDING:
                loop.remove_signal_handler(number)

    def end(self) -> None:
        """Answer what was asked, end every stream, take nothing new."""
        self.should_exit = True
        self._hub.close()


def listening_on(settings: Settings, address: str | None, port: int | None) -> Settings:
    """The settings with another address or port for the page."""
    given = {"listen_address": address, "listen_port": port}
    changes = {name: value for name, value in given.items() if value is not None}
    return settings.model_copy(update={"web": settings.web.model_copy(update=changes)})


def run_web(settings: Settings, say: Callable[[str], None]) -> None:
    """Serve the page until a signal. Raises CommandError where the port cannot be had, SettingsError for bad ones.

    A store that is not there is no reason to end: the page says so, and comes right when it is.
    """
    with contextlib.suppress(StoreUnavailableError):
        open_desk(settings).close()
    address, port = settings.web.listen_address, settings.web.listen_port
    with listening(address, port) as listener:
        shown = f"[{address}]" if ":" in address else address
        say(f"the page of fleet {settings.fleet} is http://{shown}:{port}/")
        server, watch = assembled(settings, lambda: open_desk(settings), lambda: open_crash_desk(settings))
        asyncio.run(serve(server, watch, listener))


def assembled(
    settings: Settings, open_desk: Callable[[], Desk], open_crashes: Callable[[], CrashDesk]
) -> tuple[Server, Watch]:
    """A server and the watch that feeds it, neither of them running yet."""
    files, clock = read_files(), Clock()
    frame = {
        "version": files.version,
        "fleet": settings.fleet,
        "app": settings.app,
        "min": settings.policy.min,
        "max": settings.policy.max,
    }
    board = Board(frame, now=clock.now())
    hub = Hub(board.whole)
    config = uvicorn.Config(
        build(hub, files, Drawings(Door(open_crashes)), settings.web.hosts),
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        ws="none",
        proxy_headers=False,
        timeout_graceful_shutdown=END_WITHIN_S,
    )
    return Server(config, hub), Watch(settings, hub, board, clock, open_desk, open_crashes)


async def serve(server: Server, watch: Watch, listener: socket.socket) -> None:
    """Until the server is asked to end; a fault in either of them ends both."""
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch.run())
        await server.serve(sockets=[listener])
        watching.cancel()


@contextmanager
def listening(address: str, port: int) -> Iterator[socket.socket]:
    """A socket that takes connections there. Raises CommandError, one line, where it cannot."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, port), family=family, backlog=BACKLOG)
    except OSError as error:  # also what a name that cannot be resolved raises
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be listened on: {error.strerror}"
        raise CommandError(f"web.listen_port: {address}:{port} {why}; set another, or web.enabled = false") from error
    with listener:
        yield listener
