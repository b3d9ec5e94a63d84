"""Asks an app's middleware for its profiles, with an end to whatever comes back."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from yarl import URL

from fleet.crash import CRASH_ID
from fleet.crash_document import RAW_LIMIT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

PATH = "/__stoker/profiles"
TOKEN_HEADER = "X-Stoker-Token"  # noqa: S105  # a header's name
# One exchange, to the last byte; a listing or an answer's head is far below its limit.
EXCHANGE_S = 5.0
LIST_LIMIT = 256 * 1024
LISTED = 100
# Why nothing came of it, in the words of both planes.
UNSERVED = "the app serves no profiles; it needs the middleware, with the same token"
NOTHING = "the app has nothing of it"


class NotHadError(Exception):
    """What was asked for cannot be had; the message is one line with the reason."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A document that an app keeps for us."""

    id: str
    size: int
    age_s: float


class ProfileClient:
    """One client a plane; to be used as an async context. `limit` bounds the exchanges at once."""

    def __init__(self, token: str, *, limit: int = 8) -> None:
        self._headers = {TOKEN_HEADER: token, "Accept-Encoding": "identity", "User-Agent": "stoker"}
        self._limit = limit
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._limit, use_dns_cache=False),
            timeout=aiohttp.ClientTimeout(total=EXCHANGE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def document(self, url: str, crash_id: str) -> bytes | None:
        """What the app kept of that crash, as it came; None while there is nothing. Claims it from other askers."""
        return await self._get(f"{url}{PATH}/{crash_id}", RAW_LIMIT, self._headers)

    async def waiting(self, url: str) -> tuple[Waiting, ...] | None:
        """What waits in that app, oldest first; None where it has no middleware, or another token."""
        raw = await self._get(url + PATH, LIST_LIMIT, self._headers)
        return None if raw is None else _listing(raw)

    async def remove(self, url: str, crash_id: str) -> None:
        """Let the app forget what was fetched."""
        async with self._exchange("DELETE", f"{url}{PATH}/{crash_id}", self._headers):
            pass

    async def page(self, url: str, headers: Mapping[str, str]) -> bytes:
        """Any page of the app, whatever its status; for a replay."""
        async with self._exchange("GET", url, headers) as answer:
            return await _body(answer, RAW_LIMIT)

    async def _get(self, url: str, limit: int, headers: Mapping[str, str]) -> bytes | None:
        async with self._exchange("GET", url, headers) as answer:
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise NotHadError(f"the app answered {answer.status}")
            return await _body(answer, limit)

    @asynccontextmanager
    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("ProfileClient is used outside of its context")
        try:
            async with self._session.request(
                method, URL(url, encoded=True), headers=headers, allow_redirects=False
            ) as answer:
                yield answer
        except TimeoutError as error:
            raise NotHadError(f"no whole answer in {EXCHANGE_S:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotHadError(f"the app could not be asked: {_reason(error)}") from error


async def _body(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    read = bytearray()
    async for piece in answer.content.iter_any():
        read += piece
        if len(read) > limit:
            # Leaving the context in the middle of an answer closes its connection.
            raise NotHadError(f"the app answered more than {limit} bytes")
    return bytes(read)


def _listing(raw: bytes) -> tuple[Waiting, ...]:
    try:
        profiles = json.loads(raw)["profiles"]
        return tuple(_waiting(one) for one in profiles[:LISTED])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise NotHadError("the app's list of profiles is none") from error


def _waiting(one: Any) -> Waiting:  # noqa: ANN401  # foreign JSON
    # One of dots alone would lead to another path.
    if not CRASH_ID.fullmatch(one["id"]) or not one["id"].strip("."):
        raise ValueError("an id that could not be one")
    return Waiting(one["id"], int(one["size"]), float(one["age_s"]))


def _reason(error: BaseException) -> str:
    system = getattr(error, "os_error", error)
    if isinstance(system, OSError) and system.strerror:
        return system.strerror
    return " ".join(str(error).split())[:160] or type(error).__name__
