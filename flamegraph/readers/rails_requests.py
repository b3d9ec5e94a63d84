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
    """The requests of one process, or of one tag, that may still log an exception.

    Rails logs an exception after the answer, and routing errors without one. A line that ends a request does not
    say which. So where several run, ends are only counted, and all is forgotten when all that began have ended.
    """

    running: list[Request] = field(default_factory=list)
    ended: int = 0
    refused: list[Request | None] = field(default_factory=list)
    overlapped: bool = False

    def start(self, request: Request) -> None:
        """A request begins; where requests never overlapped, the one before is over for good."""
        if self.running:
            self.overlapped = True
        if not self.overlapped:
            self.refused.clear()
        self.running.append(request)

    def complete(self, status: int) -> None:
        """One of the running requests is answered; with 400 or more, its exception may follow."""
        request = self._end()
        if status >= 400:
            self.refused.append(request)

    def raise_one(self) -> Request | None:
        """The request that raised, or None where it could be one of several."""
        if not self.refused:
            return self._end()
        request = self.refused[0] if len(self.refused) == 1 and not self.running else None
        self.refused.clear()
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
