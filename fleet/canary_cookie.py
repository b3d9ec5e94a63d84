"""The cookie that keeps a client with one of two sets while a sticky canary is tried.

Its value names the set and the canary, never an instance, and is no secret: whoever changes it chooses the other set,
and gets what one request in a few would have got anyway. A value of an earlier canary counts as none, so that each
canary gets its share of clients anew.
"""

from __future__ import annotations

import hashlib
import re

COOKIE = "stoker-set"
_VALUE = re.compile(rb"(?:^|;)[ \t]*stoker-set=(canary|stable)-([0-9a-f]{8})[ \t]*(?=;|$)")


def mark_of(spec: str) -> str:
    """What stands for a canary in the cookie, made of the `spec` of its instances."""
    return hashlib.sha256(spec.encode()).hexdigest()[:8]


def value_of(mark: str, *, canary: bool) -> str:
    """The cookie's value for a client of that set."""
    return f"{'canary' if canary else 'stable'}-{mark}"


def set_cookie(value: str, *, secure: bool) -> str:
    """The whole Set-Cookie header, for as long as the browser runs."""
    return f"{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"


def side_of(cookies: bytes, mark: str) -> bool | None:
    """By a Cookie header: True for the canary's set, False for the stable one, None for neither of this canary."""
    for found in _VALUE.finditer(cookies):
        if found[2] == mark.encode():
            return found[1] == b"canary"
    return None
