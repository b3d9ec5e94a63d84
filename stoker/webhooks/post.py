"""One signed message to the receiver: what is sent, and what came of it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from dataclasses import dataclass, field

import aiohttp

SIGNATURE, TIMESTAMP, IDENTITY = "Stoker-Signature", "Stoker-Timestamp", "Stoker-Id"


def signature(key: bytes, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over the timestamp, a dot and the body, as the header carries it."""
    return "sha256=" + hmac.new(key, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where messages go. It is never shown: the url may hold a token."""

    url: str = field(repr=False)
    key: bytes = field(repr=False)
    timeout_s: float

    def send(self, identity: str, body: bytes, timestamp: str) -> str:
        """Post it once; "" where the receiver took it (2xx), else why not. Redirects are not followed."""
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "stoker",
            IDENTITY: identity,
            TIMESTAMP: timestamp,
            SIGNATURE: signature(self.key, timestamp, body),
        }
        try:
            status = asyncio.run(self._post(body, headers))
        except TimeoutError:
            return f"no answer within {self.timeout_s:g} s"
        except aiohttp.ClientConnectorError as error:
            code = error.os_error.errno
            return f"unreachable: {os.strerror(code) if code and code > 0 else 'its name or certificate is not known'}"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return f"the exchange broke: {type(error).__name__}"
        return "" if 200 <= status < 300 else f"it answered {status}"

    async def _post(self, body: bytes, headers: dict[str, str]) -> int:
        timeout = aiohttp.ClientTimeout(total=self.timeout_s)
        async with (
            aiohttp.ClientSession(
                timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            ) as session,
            session.post(self.url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            return answer.status
