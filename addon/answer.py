"""The answers that this proxy gives by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mitmproxy.http import Response

from addon.forward import splits
from fleet.reserved import is_reserved

if TYPE_CHECKING:
    from mitmproxy.http import RequestData

RETRY_AFTER_S = 2


def refusal(request: RequestData) -> Response | None:
    """The answer to a request that is never forwarded; None for all others."""
    if splits(request):
        return _answer(request, 400, "a header, the path or the method holds a character that would split the request")
    if is_reserved(request.path):
        return _answer(request, 404, "nothing is here")
    return None


def unavailable(request: RequestData) -> Response:
    """The answer when no backend could be had in time."""
    return _answer(request, 503, "no backend could take the request in time", ("Retry-After", str(RETRY_AFTER_S)))


def _answer(request: RequestData, status: int, reason: str, *headers: tuple[str, str]) -> Response:
    # A HEAD request's answer must have no body, and mitmproxy would send what is given here.
    body = b"" if request.method == b"HEAD" else f"{status}: {reason}\n".encode()
    return Response.make(status, body, {"Content-Type": "text/plain; charset=utf-8", **dict(headers)})
