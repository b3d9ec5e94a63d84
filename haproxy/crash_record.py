"""Crashes on their way into the store: what failed, and what an app kept of it, however long the store is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from fleet.clock import Clock
from fleet.crash import CrashLog, Failure, Symptom, Uncaptured
from fleet.crash_document import pack, read_document
from fleet.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from fleet.crash import Capture
    from fleet.crash_document import Document
    from haproxy.failure_log import Logged

PLANE = "haproxy"
AGAIN_S = 1.0
SYMPTOMS = {"raised": Symptom.RAISED, "status": Symptom.STATUS, "body": Symptom.BROKEN, "slow": Symptom.SLOW}


@dataclass(slots=True)
class CrashRecord:
    """Writes for one proxy. Every method waits until the store has taken what it was given."""

    log: CrashLog
    proxy: str
    say: Callable[..., None]
    clock: Clock = field(default_factory=Clock)
    failures: int = 0
    documents: int = 0
    _trouble: str = ""
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def failure(self, logged: Logged, backend: str) -> Failure:
        """The failure that HAProxy has just logged; `backend` is "" where nobody knows that address any more."""
        return Failure(
            id=logged.id,
            at=self.clock.now(),
            plane=PLANE,
            proxy=self.proxy,
            backend=backend,
            method=logged.method,
            path=logged.path,
            status=logged.status,
            failure=logged.symptom,
            duration_ms=logged.duration_ms,
        )

    async def failed(self, failures: Sequence[Failure]) -> None:
        """Write these down."""
        await self._until_taken(lambda: self.log.failed(failures))
        self.failures += len(failures)

    async def uncaptured(self, missing: Sequence[Uncaptured]) -> None:
        """Nothing more is coming for these."""
        await self._until_taken(lambda: self.log.uncaptured(missing))

    async def keep(self, crash_id: str, backend: str, raw: bytes, failure: Failure | None) -> None:
        """Keep what an app says of a crash; without `failure` HAProxy said nothing of it, and the app's word stands.

        What is no document of that crash is told, and not kept.
        """
        try:
            # One at a time: a large one takes a while, and a good deal of memory.
            async with self._reading:
                document = await asyncio.to_thread(read_document, raw, crash_id)
                known = failure or self._told(document, backend)
                capture, packed = await asyncio.to_thread(_packed, document, known)
        except ValueError as error:
            self.say("what an app gave as a profile is not used", backend=backend, id=crash_id, error=str(error))
            await self.uncaptured([Uncaptured(crash_id, f"the app's document: {error}")])
            return
        if failure is None:
            await self.failed([known])
        await self._until_taken(lambda: self.log.captured(capture, packed))
        self.documents += 1

    def _told(self, document: Document, backend: str) -> Failure:
        content = document.content
        request = content["request"]
        status = request["status"]
        return Failure(
            id=content["id"],
            at=content["at"] or self.clock.now(),
            plane=PLANE,
            proxy=self.proxy,
            backend=backend,
            method=request["method"],
            path=request["path"],
            status=None if status is None else int(status),
            failure=SYMPTOMS[content["why"]],
            duration_ms=request["duration_ms"] or 0.0,
        )

    async def _until_taken(self, write: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await write()
            except StoreUnavailableError as error:
                if not self._trouble:
                    self._trouble = str(error)
                    self.say("crashes wait for the store", error=self._trouble)
                await asyncio.sleep(AGAIN_S)
            else:
                self._trouble = ""
                return


def _packed(document: Document, failure: Failure) -> tuple[Capture, bytes]:
    told = asdict(failure)
    return pack(
        document,
        {key: told[key] for key in ("at", "plane", "proxy", "backend", "failure", "status")}
        | {"source": document.capture.source},
    )
