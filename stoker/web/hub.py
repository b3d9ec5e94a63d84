"""The viewers of the page: each update is encoded once and handed to all of them."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# A viewer that is so many updates behind is not sent them any more, but everything anew.
MOST_PENDING = 40


def encode(kind: str, content: object) -> bytes:
    """One server-sent event."""
    return f"event: {kind}\ndata: {json.dumps(content, ensure_ascii=False, separators=(',', ':'))}\n\n".encode(
        "utf-8", "replace"
    )


@dataclass(slots=True, eq=False)
class Viewer:
    """One open page. It is handed bytes and takes them at its own pace."""

    hub: Hub
    pending: deque[bytes] = field(default_factory=deque)
    behind: bool = True
    closed: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, message: bytes) -> None:
        """Add one update; drops all of them where it would be too many."""
        if self.behind:
            return
        if len(self.pending) >= MOST_PENDING:
            self.pending.clear()
            self.behind = True
        else:
            self.pending.append(message)
        self._news.set()

    def close(self) -> None:
        """Let `take` end."""
        self.closed = True
        self._news.set()

    async def take(self) -> bytes | None:
        """All that is due, or None at the end."""
        while not self.closed:
            if self.behind:
                self.behind = False
                return self.hub.whole()
            if self.pending:
                due = b"".join(self.pending)
                self.pending.clear()
                return due
            self._news.clear()
            await self._news.wait()
        return None


@dataclass(slots=True)
class Hub:
    """All viewers. `content` gives everything that a new one has to know; `arrived` is set when one comes."""

    content: Callable[[], dict[str, Any]] = dict
    viewers: set[Viewer] = field(default_factory=set)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _whole: bytes = b""

    def join(self) -> Viewer:
        """A new viewer, who begins with everything."""
        viewer = Viewer(self)
        self.viewers.add(viewer)
        self.arrived.set()
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        self.viewers.discard(viewer)

    def tell(self, change: dict[str, Any]) -> None:
        """Hand a change of the content to every viewer."""
        self._whole = b""
        if self.viewers:
            message = encode("change", change)
            for viewer in self.viewers:
                viewer.offer(message)

    def whole(self) -> bytes:
        """Everything, encoded once for all who come before the next change."""
        self._whole = self._whole or encode("whole", self.content())
        return self._whole

    def close(self) -> None:
        """End every stream."""
        for viewer in self.viewers:
            viewer.close()
