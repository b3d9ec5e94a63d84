"""Signals as something to wait for: nothing is interrupted, nothing runs inside a handler."""

from __future__ import annotations

import select
import signal
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import FrameType

WAKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


def _ignore(number: int, frame: FrameType | None) -> None:
    del number, frame  # the byte in the wake-up socket says it all


@dataclass(slots=True)
class Signals:
    """While it is entered, signals queue up for `wait`; SIGCHLD only wakes it."""

    _pair: tuple[socket.socket, socket.socket] = field(default_factory=socket.socketpair)
    _before: dict[signal.Signals, object] = field(default_factory=dict)
    _wakeup_before: int = -1

    def __enter__(self) -> Self:
        for end in self._pair:
            end.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._pair[1].fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _ignore) for number in WAKING}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what `signal` itself gave
        signal.set_wakeup_fd(self._wakeup_before)
        for end in self._pair:
            end.close()

    def wait(self, seconds: float) -> list[int]:
        """The signals that came, at once; none after that time, or when only a child ended."""
        ready, _, _ = select.select([self._pair[0]], [], [], seconds)
        return [number for number in self._pair[0].recv(4096) if number != signal.SIGCHLD] if ready else []
