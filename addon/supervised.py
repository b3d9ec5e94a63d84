"""A task that runs as long as the addon is there: where it breaks off, that is logged and it begins again."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from fleet.presence import end

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

log = logging.getLogger(__name__)

RESTART_S = 1.0
CANCEL_S = 1.0


class Supervised:
    """`start` and `stop` are plain functions: a script that is reloaded calls them outside of any task."""

    def __init__(self, what: str, run: Callable[[], Coroutine[Any, Any, None]], restart_s: float = RESTART_S) -> None:
        self._what = what
        self._run = run
        self._restart_s = restart_s
        self._task: asyncio.Task[None] | None = None
        self._again: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._over = False

    @property
    def started(self) -> bool:
        """It was started, and may have ended since."""
        return self._task is not None

    def start(self) -> None:
        """Begin, in the loop that runs."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._ended)

    def stop(self) -> None:
        """End, without waiting for it."""
        self._ending = asyncio.get_running_loop().create_task(self.end())

    async def end(self) -> None:
        """End, also where it was about to begin again."""
        self._over = True
        if self._again is not None:
            self._again.cancel()
        if self._task is not None:
            await end([self._task], every_s=CANCEL_S)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.error("stoker: %s broke off%s", self._what, "" if self._over else " and begins again", exc_info=error)
        if not self._over:
            self._again = asyncio.get_running_loop().call_later(self._restart_s, self.start)
