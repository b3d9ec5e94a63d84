"""What stands before every answer: who may ask by which name, and the headers that keep a browser safe."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Guard:
    """Refuses a Host header that is no address, not localhost and not among `hosts`.

    A page of a stranger can make a name of its own mean this machine (DNS rebinding); it cannot change that its
    browser then sends that name.
    """

    app: ASGIApp
    hosts: Collection[str] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and put the headers on its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        host = Headers(scope=scope).get("host", "")
        if is_known(host, self.hosts):
            await self.app(scope, receive, guarded)
        else:
            shown = host[:80].encode("ascii", "replace").decode()
            words = f"this page is not served for the host {shown!r}; name it in web.hosts, or use localhost\n"
            await PlainTextResponse(words, 421)(scope, receive, guarded)


def is_known(host: str, hosts: Collection[str]) -> bool:
    """Whether a Host header names this machine in a way that no stranger could have arranged."""
    name = host_name(host)
    if name is None:
        return False
    return (
        name == "localhost"
        or name.endswith(".localhost")
        or _is_address(name)
        or name in {host.lower() for host in hosts}
    )


def host_name(host: str) -> str | None:
    """The name in a Host header without its port, in lower case; None for what is no such header."""
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            return None
        port = port[1:]
    else:
        name, _, port = host.partition(":")
    if port and not (port.isascii() and port.isdigit()):
        return None
    return name.lower().removesuffix(".") or None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
