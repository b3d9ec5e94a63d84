"""Which request an exception in a log belongs to: by tag, else by process where only one request can be meant."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """What the line that starts a request says."""

    method: str
    path: str


@dataclass(slots=True)
class Lane:
    """The requests of one process, or of one tag, that may still run.

    Lines do not say which request of a process they end. So those that ended without being known are only
    counted, and forgotten when all that began have ended.
    """

    running: list[Request] = field(default_factory=list)
    ended: int = 0
    failed: list[Request | None] = field(default_factory=list)

    def start(self, request: Request) -> None:
        """A request begins."""
        self.running.append(request)

    def complete(self, *, failed: bool) -> None:
        """One of the running requests ends, with an answer of 500 or another."""
        request = self._end()
        if failed:
            self.failed.append(request)

    def raise_one(self) -> Request | None:
        """The request that raised, or None where it could be one of several; Rails logs it after the answer."""
        if not self.failed:
            return self._end()
        request = self.failed[0] if len(self.failed) == 1 else None
        self.failed.clear()
        return request

    def _end(self) -> Request | None:
        if len(self.running) == 1:
            self.ended = 0
            return self.running.pop()
        self.ended += 1
        if self.ended >= len(self.running):
            self.running.clear()
            self.ended = 0
        return None
