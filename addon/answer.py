"""The answers that this proxy gives by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mitmproxy.http import Response

from addon.ambiguity import ambiguity
from fleet.reserved import is_reserved

if TYPE_CHECKING:
    from mitmproxy.http import RequestData

RETRY_AFTER_S = 2


def refusal(request: RequestData, *, http2: bool) -> Response | None:
    """The answer to a request that is never forwarded; None for all others."""
    fault = ambiguity(request, http2=http2)
    if fault is not None:
        return _answer(request, 400, f"the request can be read in two ways: {fault}")
    if is_reserved(request.path):
        return _answer(request, 404, "nothing is here")
    return None


def mismatched(request: RequestData) -> Response:
    """The answer to a body that is not as long as was said."""
    return _answer(request, 400, "the body is not as long as its head says")


def unavailable(request: RequestData) -> Response:
    """The answer when no backend could be had in time."""
    return _answer(request, 503, "no backend could take the request in time", ("Retry-After", str(RETRY_AFTER_S)))


def _answer(request: RequestData, status: int, reason: str, *headers: tuple[str, str]) -> Response:
    # A HEAD request's answer must have no body, and mitmproxy would send what is given here.
    body = b"" if request.method == b"HEAD" else f"{status}: {reason}\n".encode()
    return Response.make(status, body, {"Content-Type": "text/plain; charset=utf-8", **dict(headers)})
