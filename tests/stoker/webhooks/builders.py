"""What the tests of messages are built from."""

from __future__ import annotations

from typing import Any

from fleet.crash import Failure, Symptom
from fleet.registry import Happening
from stoker.webhooks.news import News


def failure(crash_id: str = "c1", **values: Any) -> Failure:
    """A request that failed."""
    filled = {
        "id": crash_id,
        "at": 5.0,
        "plane": "mitmproxy",
        "proxy": "p",
        "backend": "web1",
        "method": "GET",
        "path": "/reset/secret-token",
        "status": 500,
        "failure": Symptom.STATUS,
        **values,
    }
    return Failure(**filled)


def fault(subject: str, after: str = "begins", *reasons: str, at: float = 3.0) -> Happening:
    """A standing fault that begins or is over."""
    return Happening(at, "fault", subject, "", after, reasons)


def news(kind: str = "crash", state: str = "", **values: Any) -> News:
    """Something to tell."""
    return News(**{"kind": kind, "subject": "web1", "state": state, "text": "t", "at": 1.0, **values})
