"""An app's own side of its crashes, over HTTP: which profiles wait there, one of them, and that it is no longer needed.

An app is not trusted to answer: everything is bounded in time and in bytes.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from pydantic_core import from_json
from yarl import URL

from fleet.crash import CRASH_ID
from fleet.crash_document import RAW_LIMIT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATH = "/__stoker/profiles"
LIST_TIMEOUT_S = 2.0
FETCH_TIMEOUT_S = 10.0
LIST_LIMIT = 65_536
MOST_LISTED = 100
AT_ONCE = 8


class NotAnsweredError(Exception):
    """The app could not be asked, or answered with something else than what was asked for."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A profile that waits to be fetched."""

    id: str
    age_s: float


@asynccontextmanager
async def open_app_profiles(token: str) -> AsyncIterator[AppProfiles]:
    """The way to any instance's profiles, with the token that its middleware knows."""
    async with aiohttp.ClientSession(
        # No connection is kept: an app that serves one at a time must not be occupied by us.
        connector=aiohttp.TCPConnector(limit=AT_ONCE, force_close=True),
        headers={"x-stoker-token": token, "User-Agent": "stoker", "Accept-Encoding": "identity"},
        auto_decompress=False,
    ) as session:
        yield AppProfiles(session)


@dataclass(frozen=True, slots=True)
class AppProfiles:
    """Asks instances by their urls."""

    session: aiohttp.ClientSession

    async def waiting(self, url: str) -> tuple[Waiting, ...] | None:
        """What waits, oldest first; None where profiles are not served to us. Raises NotAnsweredError."""
        raw = await self._ask("GET", URL(url + PATH, encoded=True), LIST_TIMEOUT_S, LIST_LIMIT)
        if raw is None:
            return None
        try:
            listed = from_json(raw)["profiles"]
            found = [Waiting(str(one["id"]), float(one.get("age_s", 0))) for one in listed[:MOST_LISTED]]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise NotAnsweredError(f"{url}{PATH}: no list of profiles") from error
        return tuple(one for one in found if _may_be_asked_for(one.id))

    async def fetch(self, url: str, crash_id: str) -> bytes | None:
        """One profile, which is then ours alone; None while there is none. Raises NotAnsweredError."""
        return await self._ask("GET", _address(url, crash_id), FETCH_TIMEOUT_S, RAW_LIMIT)

    async def done(self, url: str, crash_id: str) -> None:
        """It was stored, and may go. Raises NotAnsweredError."""
        await self._ask("DELETE", _address(url, crash_id), LIST_TIMEOUT_S, LIST_LIMIT)

    async def _ask(self, method: str, url: URL, timeout_s: float, limit: int) -> bytes | None:
        """The body of a good answer, None of a 404."""
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self.session.request(method, url, timeout=timeout, allow_redirects=False) as answer:
                if answer.status == 404:
                    return None
                if not 200 <= answer.status < 300:
                    raise NotAnsweredError(f"{url}: status {answer.status}")
                body = bytearray()
                async for piece in answer.content.iter_any():
                    body += piece
                    if len(body) > limit:
                        raise NotAnsweredError(f"{url}: more than {limit} bytes")
                return bytes(body)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # A timeout of aiohttp's is a TimeoutError, which is an OSError.
            raise NotAnsweredError(f"{url}: {str(error) or type(error).__name__}"[:200]) from error


def _address(url: str, crash_id: str) -> URL:
    return URL(f"{url}{PATH}/{crash_id}", encoded=True)


def _may_be_asked_for(crash_id: str) -> bool:
    """An id of dots alone would be another path."""
    return CRASH_ID.fullmatch(crash_id) is not None and crash_id.strip(".") != ""
