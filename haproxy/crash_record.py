"""A crash in the words of the store, as HAProxy logged it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleet.crash import Failure

if TYPE_CHECKING:
    from haproxy.failure_log import Logged

PLANE = "haproxy"


def failure_of(logged: Logged, at: float, proxy: str, backend: str) -> Failure:
    """`backend` is "" where nobody has that address any more."""
    return Failure(
        id=logged.id,
        at=at,
        plane=PLANE,
        proxy=proxy,
        backend=backend,
        method=logged.method,
        path=logged.path,
        status=logged.status,
        failure=logged.symptom,
        duration_ms=logged.duration_ms,
    )
