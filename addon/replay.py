"""The failed request sent once more, for a graph by rack-mini-profiler: what it needs, and what counts as success."""

from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING

from fleet.crash_document import Document, replayed
from fleet.profile_client import NotHadError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from addon.capturing import Job
    from fleet.profile_client import ProfileClient

METHODS = ("GET", "HEAD")
ASKING = {"X-Rack-Mini-Profiler": "flamegraph", "Accept-Encoding": "identity"}
# What decides for whom and as what the app answers.
CARRIED = re.compile(rb"(?i)host|cookie|authorization|accept|accept-language|user-agent|x-forwarded-.*")
# The new viewer's page sets it to the profile, the old one's holds its data.
GRAPH = re.compile(rb"(?:var|const)\s+graph\s*=\s*\{|var\s+data\s*=\s*\[\s*\{\s*\"x\"")


class Replayer:
    """At most one at a time, and one in `every_s`."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._due_s = 0.0

    def takes(self, job: Job) -> bool:
        """Whether this one may be sent once more now."""
        fits = job.failure.method in METHODS and job.headers is not None and job.target.startswith("/")
        return fits and monotonic() >= self._due_s

    async def replay(self, client: ProfileClient, job: Job) -> Document:
        """Its graph. Raises NotHadError where the answer is none."""
        # It may take long; the next one is due after this one's end.
        self._due_s = float("inf")
        try:
            page = await client.page(job.url + job.target, {**(job.headers or {}), **ASKING})
        finally:
            self._due_s = monotonic() + self._every_s
        if not GRAPH.search(page):
            raise NotHadError("the replay brought no graph: rack-mini-profiler is not there, or not for this user")
        failure = job.failure
        request = {
            "method": failure.method,
            "path": failure.path,
            "status": failure.status,
            "started_at_us": None,
            "stopped_at_us": None,
            "duration_ms": failure.duration_ms,
        }
        content = {"why": "status", "at": failure.at, "request": request, "unprofiled": "", "root": ""}
        return replayed(failure.id, page.decode("utf-8", "replace"), content)


def carried(fields: Sequence[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Those of a request's headers with which it is sent once more."""
    return {_text(name): _text(value) for name, value in fields if CARRIED.fullmatch(name)}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
