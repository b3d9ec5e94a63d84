"""A crash in the words of the store: as HAProxy logged it, and as the app itself told of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from fleet.crash import Failure, Symptom
from fleet.crash_document import Document, pack

if TYPE_CHECKING:
    from fleet.crash import Capture
    from haproxy.failure_log import Logged

PLANE = "haproxy"
SYMPTOMS = {"raised": Symptom.RAISED, "status": Symptom.STATUS, "body": Symptom.BROKEN, "slow": Symptom.SLOW}


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


def failure_told(document: Document, at: float, proxy: str, backend: str) -> Failure:
    """Of a crash that HAProxy did not log; `at` stands where the app does not say when it was."""
    content, request = document.content, document.content["request"]
    return Failure(
        id=content["id"],
        at=content["at"] or at,
        plane=PLANE,
        proxy=proxy,
        backend=backend,
        method=request["method"],
        path=request["path"],
        status=None if request["status"] is None else int(request["status"]),
        failure=SYMPTOMS[content["why"]],
        duration_ms=request["duration_ms"] or 0.0,
    )


def packed(document: Document, failure: Failure) -> tuple[Capture, bytes]:
    """What is stored of both."""
    known = {key: value for key, value in asdict(failure).items() if key != "id"}
    return pack(document, known | {"source": document.capture.source})
