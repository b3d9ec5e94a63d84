"""Has every failed request written down, and what the app knows of it fetched.

A failure is what the counters call an error of a backend: it was sent there, and the answer was 500 or more, broke off
or never came. A connection that no backend accepted and a hold that ran out are none: no app has seen the request.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING

from mitmproxy import ctx

from addon.capturing import Capturer, Job
from addon.forward import REQUEST_HEADER
from addon.replay import METHODS, Replayer, carried
from addon.supervised import Supervised
from addon.sweep import Sweep
from fleet.clock import Clock
from fleet.crash import CRASH_ID, Failure, Symptom
from fleet.crash_journal import Journal
from fleet.store.opening import open_crash_log

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mitmproxy.http import HTTPFlow

    from addon.counter import Token
    from addon.options import Configuration

log = logging.getLogger(__name__)

SETTLE_S = 2.0
LONGEST_PATH = 2000
LONGEST_METHOD = 40


class Capture:
    """`failed` takes microseconds; the rest happens in a task that `running` starts and `done` ends."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._clock = Clock()
        self._journal: Journal | None = None
        self._capturer: Capturer | None = None
        self._loops = Supervised("the capture of crashes", self._run)
        self.noted = 0

    @property
    def lost(self) -> int:
        """So many could not be written down."""
        return self._journal.lost if self._journal else 0

    def running(self) -> None:
        """Begin to write down and to fetch."""
        if not self._configuration.ready or self._loops.started:
            return
        settings = self._configuration.settings
        token, replay = settings.token(), settings.crashes.replay
        if token is None:
            log.info("stoker: STOKER_PROFILE_TOKEN is not set: crashes are listed, but no app is asked for profiles")
        self._journal = Journal(lambda: open_crash_log(settings), _say)
        plane = self._configuration.plane
        sweep = Sweep(self._journal, token, plane.id, lambda: plane.roster.upstreams) if token else None
        replayer = Replayer(settings.crashes.replay_every_s) if replay else None
        self._capturer = Capturer(self._journal, token, replayer, sweep)
        self._loops.start()

    def failed(self, flow: HTTPFlow, token: Token, symptom: Symptom) -> None:
        """A request failed at the backend that its token names."""
        upstream, data = token.upstream, flow.request.data
        crash_id = next((_text(value) for name, value in data.headers.fields if name == REQUEST_HEADER), "")
        if upstream is None or self._journal is None or self._capturer is None or not CRASH_ID.fullmatch(crash_id):
            return
        target = _text(data.path)
        failure = Failure(
            id=crash_id,
            at=self._clock.now(),
            plane="mitmproxy",
            proxy=self._configuration.plane.id,
            backend=upstream.name,
            method=_text(data.method)[:LONGEST_METHOD],
            path=target.partition("?")[0][:LONGEST_PATH],
            status=flow.response.status_code if flow.response else None,
            failure=symptom,
            duration_ms=round(1000 * (monotonic() - token.started_s), 3),
        )
        self._journal.note(failure)
        self.noted += 1
        repeats = self._configuration.settings.crashes.replay and failure.method in METHODS
        headers = carried(data.headers.fields) if repeats else None
        self._capturer.add(Job(failure, upstream.url, target if repeats else "", headers))

    def done(self) -> Awaitable[None] | None:
        """End: at once when the script is reloaded; when mitmdump ends, after what happened is written down."""
        if not self._loops.started:
            return None
        if ctx.master.should_exit.is_set():
            return self._leave()
        self._loops.stop()
        return None

    async def _run(self) -> None:
        if self._journal is not None and self._capturer is not None:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._journal.run())
                both.create_task(self._capturer.run())

    async def _leave(self) -> None:
        if self._journal is not None and self._capturer is not None:
            self._capturer.abandon("the proxy ended")
            await self._journal.settle(SETTLE_S)
        await self._loops.end()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _say(line: str) -> None:
    log.warning("stoker: %s", line)
