"""What the page's server answers: the page, its files, the stream, flame graphs of crashes. All is read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from fleet.errors import StoreUnavailableError
from stoker.web.drawing import DrawingError, Drawings, policy
from stoker.web.files import PAGE, Files
from stoker.web.guard import Guard
from stoker.web.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from stoker.web.hub import Hub

MOST_VIEWERS = 500


def build(hub: Hub, files: Files, drawings: Drawings, hosts: Collection[str]) -> ASGIApp:
    """The whole application; any method but GET and HEAD is answered by 405."""

    async def page(request: Request) -> Response:
        return files.answer(request, PAGE)

    async def asset(request: Request) -> Response:
        return files.answer(request, request.path_params["name"])

    async def live(request: Request) -> Response | Stream:
        del request
        if len(hub.viewers) >= MOST_VIEWERS:
            words = f"{MOST_VIEWERS} viewers are here already; try again later\n"
            return PlainTextResponse(words, 503, {"Retry-After": "10"})
        return Stream(hub)

    async def crash(request: Request) -> Response:
        try:
            drawn = await drawings.picture(request.path_params["id"])
        except DrawingError as error:
            return PlainTextResponse(f"{error}\n", error.status)
        except StoreUnavailableError as error:
            return PlainTextResponse(f"{error}\n", 503)
        headers = {"Content-Security-Policy": policy(drawn), "Cache-Control": "private, max-age=86400"}
        return Response(drawn, headers=headers, media_type="image/svg+xml")

    routes = [
        Route("/", page),
        Route("/live", live),
        Route("/assets/{name}", asset),
        Route("/crashes/{id}.svg", crash),
    ]
    return Guard(Starlette(routes=routes), hosts)
