"""One process of the harness, which may be killed, paused and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_S = 40.0
LOOK_S = 0.02


@dataclass(slots=True)
class Part:
    """A command in a session of its own.

    `downs` are the moments (monotonic) at which it was killed or told to end, `ups` those at which a proxy listened.
    """

    name: str
    argv: Sequence[str]
    variables: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    paused: bool = False
    expected: bool = False
    downs: list[float] = field(default_factory=list)
    ups: list[float] = field(default_factory=list)

    def start(self) -> None:
        self.expected = True
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv,
                env=dict(self.variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.log.parent,
            )

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: int) -> None:
        """To the whole session: HAProxy is a master and its workers."""
        if self.alive:
            os.killpg(self.pid, number)

    def kill(self) -> None:
        self.expected = False
        self.downs.append(time.monotonic())
        self.send(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        self.paused = False

    def pause(self) -> None:
        self.paused = True
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.send(signal.SIGCONT)
        self.paused = False

    async def end(self, number: int = signal.SIGTERM, within_s: float = PATIENCE_S) -> int:
        """Ask the first process to end; its exit code."""
        self.expected = False
        self.downs.append(time.monotonic())
        assert self.process is not None
        if self.alive:
            os.kill(self.pid, number)
        try:
            return await asyncio.to_thread(self.process.wait, within_s)
        finally:
            self.send(signal.SIGKILL)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""


async def until(true: Callable[[], bool], what: str, within_s: float = PATIENCE_S) -> float:
    """Wait until it is true; how long that took. Raises AssertionError where it never is."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not true():
        if loop.time() > began + within_s:
            raise AssertionError(f"not within {within_s:g} s: {what}")
        await asyncio.sleep(0.02)
    return loop.time() - began
