"""Flame graphs of crashes, drawn when somebody asks for one: one at a time, in a process that may not take long."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import sys
from collections import OrderedDict
from dataclasses import dataclass, field

from fleet.crash import CRASH_ID, CrashDesk
from stoker.web.watch import Door

DRAW_WITHIN_S = 15.0
MOST_WAITING = 8
KEPT = 32
LARGEST_BYTES = 16 * 1024 * 1024
COMMAND = (sys.executable, "-P", "-m", "flamegraph", "render", "--format", "crash", "-")
SCRIPT = re.compile(rb"<script><!\[CDATA\[(.*?)\]\]></script>", re.DOTALL)


class DrawingError(Exception):
    """Why there is no picture, in one line, and the status that says so to a browser."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(slots=True)
class Drawings:
    """The newest pictures stay; a document never changes, so neither does its picture."""

    door: Door[CrashDesk]
    command: tuple[str, ...] = COMMAND
    _kept: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _waiting: int = 0

    async def picture(self, crash_id: str) -> bytes:
        """The SVG of that crash. Raises DrawingError, and StoreUnavailableError."""
        if not CRASH_ID.fullmatch(crash_id):
            raise DrawingError(404, "no such crash")
        if self._waiting >= MOST_WAITING:
            raise DrawingError(503, "too many pictures are being drawn; try again")
        self._waiting += 1
        try:
            async with self._turn:
                if crash_id not in self._kept:
                    self._keep(crash_id, await self._drawn(crash_id))
                self._kept.move_to_end(crash_id)
                return self._kept[crash_id]
        finally:
            self._waiting -= 1

    def _keep(self, crash_id: str, drawn: bytes) -> None:
        self._kept[crash_id] = drawn
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    async def _drawn(self, crash_id: str) -> bytes:
        try:
            document = await self.door.ask(lambda desk: desk.document(crash_id))
        except ValueError as error:
            raise DrawingError(422, str(error)) from error
        if document is None:
            raise DrawingError(404, "nothing was kept of this crash, or not any longer")
        try:
            async with asyncio.timeout(DRAW_WITHIN_S):
                return await self._run(document)
        except TimeoutError as error:
            raise DrawingError(504, f"not drawn within {DRAW_WITHIN_S:g} s") from error

    async def _run(self, document: bytes) -> bytes:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self.command, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            drawn, said = await process.communicate(document)
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if process.returncode:
            words = said.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
            raise DrawingError(422, f"cannot be drawn: {words[0][:300]}")
        if len(drawn) > LARGEST_BYTES:
            raise DrawingError(413, f"the picture would be {len(drawn)} bytes, the most is {LARGEST_BYTES}")
        return drawn


def policy(drawn: bytes) -> str:
    """What a browser may do with a picture: its own script may run, by its hash, in an origin of nobody.

    The script stands before anything that comes from the crash, so the first one is the picture's own.
    """
    found = SCRIPT.search(drawn)
    digest = base64.b64encode(hashlib.sha256(found[1]).digest()).decode() if found else ""
    script = f"'sha256-{digest}'" if digest else "'none'"
    return (
        f"default-src 'none'; script-src {script}; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts"
    )
