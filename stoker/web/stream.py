"""One viewer's stream of server-sent events, written to it at the pace at which it reads."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.web.hub import Hub

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from stoker.web.hub import Viewer

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # proxies of nginx's kind would hold it back
]
# A browser whose stream ended asks again after this.
RETRY = b"retry: 1000\n\n"


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that ends when the viewer leaves or the hub closes."""

    hub: Hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything, then every change."""
        await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        viewer = self.hub.join()
        try:
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(_until_gone(viewer, receive))
                await send({"type": "http.response.body", "body": RETRY, "more_body": True})
                while (due := await viewer.take()) is not None:
                    await send({"type": "http.response.body", "body": due, "more_body": True})
                listening.cancel()
        finally:
            self.hub.leave(viewer)
        await send({"type": "http.response.body", "body": b""})


async def _until_gone(viewer: Viewer, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    viewer.close()
