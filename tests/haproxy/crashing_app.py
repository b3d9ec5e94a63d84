"""An app with the crash middleware, as far as a data plane can tell: it fails in many ways, and serves what it kept."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from tests.contracts.crashes import document

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOKEN = "a-token-of-sixteen-or-more"
PROFILES = "/__stoker/profiles"


@dataclass
class CrashingApp:
    """`kept` is what waits, by id; `claimed` what was fetched and not yet removed; `removed` what is done with."""

    name: str
    port: int = 0
    kept: dict[str, bytes] = field(default_factory=dict)
    claimed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    seen: list[web.BaseRequest] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    with_middleware: bool = True
    age_s: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def keep(self, crash_id: str, **changes: object) -> None:
        """A profile waits."""
        self.kept[crash_id] = document(crash_id, **changes)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith(PROFILES):
            return self._profiles(request)
        self.seen.append(request)
        crash_id = request.headers.get("x-stoker-request", "")
        match request.path:
            case "/drop":
                assert request.transport is not None
                request.transport.close()
            case "/break":
                await self._break(request, crash_id)
            case "/":
                return web.Response(text=self.name)
            case path:
                self._crash(path, crash_id)
        return web.Response(status=500)

    def _crash(self, path: str, crash_id: str) -> None:
        match path:
            case "/raise":
                self.keep(crash_id)
            case "/late":
                asyncio.get_running_loop().call_later(0.4, self.keep, crash_id)
            case "/garbage":
                self.kept[crash_id] = b'{"stoker_crash": 2}'
            case "/huge":
                self.kept[crash_id] = b" " * (9 * 1024 * 1024)
            case _:
                pass

    async def _break(self, request: web.BaseRequest, crash_id: str) -> None:
        answer = web.StreamResponse(headers={"Content-Length": "1000"})
        await answer.prepare(request)
        await answer.write(b"begun")
        self.keep(crash_id, why="body")
        assert request.transport is not None
        request.transport.close()

    def _profiles(self, request: web.BaseRequest) -> web.Response:
        self.asked.append((request.method, request.path))
        if request.headers.get("x-stoker-token") != TOKEN or not self.with_middleware:
            return web.Response(status=404)
        crash_id = request.path.removeprefix(PROFILES).removeprefix("/")
        match request.method, crash_id:
            case "GET", "":
                listed = [{"id": one, "size": len(raw), "age_s": self.age_s} for one, raw in self.kept.items()]
                return web.json_response({"profiles": listed[:100]})
            case "GET", _ if crash_id in self.kept:
                self.claimed.append(crash_id)
                return web.Response(body=self.kept.pop(crash_id), content_type="application/json")
            case "DELETE", _ if crash_id in self.claimed:
                self.claimed.remove(crash_id)
                self.removed.append(crash_id)
                return web.Response(status=204)
        return web.Response(status=404)


@asynccontextmanager
async def crashing_app(name: str) -> AsyncIterator[CrashingApp]:
    """One that listens until the end of the block."""
    app = CrashingApp(name)
    runner = web.ServerRunner(web.Server(app.handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    app.port = runner.addresses[0][1]
    try:
        yield app
    finally:
        await runner.cleanup()
