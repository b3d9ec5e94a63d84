"""An app that crashes on demand and keeps documents as the middleware does, or misbehaves where they are asked for.

Usage, for benchmarks: python -m tests.addon.crash_app TOKEN
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from aiohttp import web

from tests.contracts.crashes import document

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PIECE = b"[" + b"1," * 32_768
OLD_GRAPH = """<script>var data = [{"x":1,"y":1,"width":1,"frame":"rmp.rb::in `<main>'"}];</script>"""


@dataclass
class CrashApp:
    """`manner` says what is served where documents are asked for."""

    token: str
    name: str = "production1"
    port: int = 0
    manner: str = "good"
    file_after_s: float = 0.0
    kept: dict[str, bytes] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)
    ids: list[str] = field(default_factory=list)
    asked_to_profile: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    lookups: list[str] = field(default_factory=list)
    replays: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0
    size: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def application(self) -> web.Application:
        made = web.Application()
        made.router.add_get("/__stoker/profiles", self._list)
        made.router.add_get("/__stoker/profiles/{id}", self._profile)
        made.router.add_delete("/__stoker/profiles/{id}", self._remove)
        made.router.add_route("*", "/{path:.*}", self._page)
        return made

    async def _list(self, request: web.Request) -> web.Response:
        if request.headers.get("X-Stoker-Token") != self.token:
            return web.Response(status=404)
        return web.json_response({"profiles": [{"id": one, "size": 1, "age_s": 0.0} for one in self.kept]})

    async def _page(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("X-Rack-Mini-Profiler") == "flamegraph":
            self.replays.append(dict(request.headers) | {"path": request.path_qs, "method": request.method})
            return web.Response(status=500, text=OLD_GRAPH if "graph" in request.path else "Oops")
        crash_id = request.headers.get("X-Stoker-Request", "")
        self.ids.append(crash_id)
        if token := request.headers.get("X-Stoker-Profile"):
            self.asked_to_profile.append(token)
        match request.path.strip("/").split("/")[0]:
            case "crash":
                self._keep(crash_id)
                return web.Response(status=500, text="Oops")
            case "abort":
                self._keep(crash_id)
                if request.transport is not None:
                    request.transport.abort()
                return web.Response()
            case "break":
                return await self._break(request, crash_id)
            case _:
                return web.Response(text="fine")

    async def _break(self, request: web.Request, crash_id: str) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.content_length = 1_000_000
        await answer.prepare(request)
        await answer.write(b"x" * 70_000)
        self._keep(crash_id)
        if request.transport is not None:
            request.transport.abort()
        return answer

    def _keep(self, crash_id: str) -> None:
        changes = {"profile": {"mode": "wall", "raw": list(range(self.size))}} if self.size else {}
        made = document(crash_id, **changes)
        asyncio.get_running_loop().call_later(self.file_after_s, self.kept.__setitem__, crash_id, made)

    async def _profile(self, request: web.Request) -> web.StreamResponse:
        crash_id = request.match_info["id"]
        self.lookups.append(crash_id)
        if request.headers.get("X-Stoker-Token") != self.token or crash_id in self.claimed:
            return web.Response(status=404)
        match self.manner:
            case "good":
                found = self.kept.get(crash_id)
                self.claimed |= {crash_id} if found else set()
                return web.Response(body=found, content_type="application/json") if found else web.Response(status=404)
            case "garbage":
                return web.Response(text="<html>not a profile</html>")
            case "error":
                return web.Response(status=503)
            case "slow":
                await asyncio.sleep(3600)
            case _:
                return await self._endless(request)
        return web.Response(status=404)

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await answer.write(PIECE)
            self.sent += len(PIECE)
            if self.manner == "trickle":
                await asyncio.sleep(0.2)
        return answer

    async def _remove(self, request: web.Request) -> web.Response:
        if request.headers.get("X-Stoker-Token") != self.token:
            return web.Response(status=404)
        self.kept.pop(request.match_info["id"], None)
        self.removed.append(request.match_info["id"])
        return web.Response(status=204)


@asynccontextmanager
async def crash_app(token: str, name: str = "production1") -> AsyncIterator[CrashApp]:
    """A running app on a free port."""
    app = CrashApp(token, name)
    runner = web.AppRunner(app.application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    app.port = runner.addresses[0][1]
    try:
        yield app
    finally:
        await runner.cleanup()


async def _serve(token: str) -> None:
    async with crash_app(token) as app:
        app.size = 12_000
        print(app.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
