"""Connections to the server, and what is said when it cannot be reached. Nothing is tried twice: the caller decides."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from fleet.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.store.address import Address

# A server that does not answer within this is gone, as far as the caller is concerned.
TIMEOUT_S = 1.0
TIMEOUTS: dict[str, Any] = {"socket_connect_timeout": TIMEOUT_S, "socket_timeout": TIMEOUT_S}

# What a server's words mean. The client turns some of them into classes of its own, and an error inside a script
# carries its code anywhere in its text, so both are looked for in "<class> <text>".
MEANINGS = (
    (r"NOAUTH|Authentication required", "a password is needed; set it in redis_url or redis_password_file"),
    (r"WRONGPASS|invalid username-password|invalid password", "wrong user or password"),
    (r"without any password configured", "a password was sent, but the server has none"),
    (r"NOPERM|NoPermissionError", "this user may not do that"),
    (r"READONLY|ReadOnlyError|read only replica", "read-only: a replica, not the primary"),
    (r"LOADING|BusyLoadingError", "still loading its data"),
    (r"MASTERDOWN|MasterDownError", "a replica that lost its primary"),
    (r"MISCONF", "it cannot save to its disk and takes no writes"),
    (r"OOM|OutOfMemoryError", "out of memory and takes no writes"),
    (r"CERTIFICATE_VERIFY_FAILED", "its certificate is not signed by redis_ca_file, or is not for this host"),
)


def connect(address: Address) -> redis.Redis:
    """A client that connects at its first command."""
    options = {"retry": Retry(NoBackoff(), 0), "protocol": 2, **TIMEOUTS, **address.options}
    if address.sentinels:
        sentinel = redis.Sentinel(
            address.sentinels, sentinel_kwargs={"retry": Retry(NoBackoff(), 0), **TIMEOUTS, **address.sentinel_options}
        )
        found: redis.Redis = sentinel.master_for(address.service, **options)
        return found
    return redis.Redis.from_pool(redis.ConnectionPool(connection_class=_connection_class(options), **options))


def connect_async(address: Address) -> redis.asyncio.Redis:
    """The same for asyncio."""
    options = {"retry": AsyncRetry(NoBackoff(), 0), "protocol": 2, **TIMEOUTS, **address.options}
    if address.sentinels:
        sentinel = redis.asyncio.Sentinel(
            address.sentinels,
            sentinel_kwargs={"retry": AsyncRetry(NoBackoff(), 0), **TIMEOUTS, **address.sentinel_options},
        )
        found: redis.asyncio.Redis = sentinel.master_for(address.service, **options)
        return found
    pool = redis.asyncio.ConnectionPool(connection_class=_async_connection_class(options), **options)
    return redis.asyncio.Redis.from_pool(pool)


def _connection_class(options: dict[str, Any]) -> type[redis.Connection | redis.UnixDomainSocketConnection]:
    if "path" in options:
        return redis.UnixDomainSocketConnection
    return redis.SSLConnection if "ssl_ca_certs" in options else redis.Connection


def _async_connection_class(
    options: dict[str, Any],
) -> type[redis.asyncio.Connection | redis.asyncio.UnixDomainSocketConnection]:
    if "path" in options:
        return redis.asyncio.UnixDomainSocketConnection
    return redis.asyncio.SSLConnection if "ssl_ca_certs" in options else redis.asyncio.Connection


@contextmanager
def reaching(shown: str) -> Iterator[None]:
    """Turn whatever goes wrong with the server into one StoreUnavailableError that says where and why."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise StoreUnavailableError(f"Redis at {shown}: {_reason(error)}") from error


def wrong_type(reply: object) -> bool:
    """Whether a pipeline's reply says that a key is of another type than ours.

    Raises the reply where it is any other error.
    """
    if isinstance(reply, redis.ResponseError) and str(reply).startswith("WRONGTYPE"):
        return True
    if isinstance(reply, Exception):
        raise reply
    return False


def close(client: redis.Redis) -> None:
    """Let go of every connection that is not in use in another thread."""
    pool = client.connection_pool
    pool.disconnect(inuse_connections=False)
    if isinstance(pool, redis.sentinel.SentinelConnectionPool):
        for sentinel in pool.sentinel_manager.sentinels:
            sentinel.close()


async def aclose(client: redis.asyncio.Redis) -> None:
    """Let go of every connection."""
    await client.aclose()
    pool = client.connection_pool
    if isinstance(pool, redis.asyncio.sentinel.SentinelConnectionPool):
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


def _reason(error: BaseException) -> str:
    text = " ".join(f"{type(error).__name__} {error}".split())
    for pattern, meaning in MEANINGS:
        if re.search(pattern, text):
            return meaning
    if isinstance(error, redis.ResponseError):
        return f"it refuses: {text[:160]}"
    return f"unreachable: {_system_error(error) or ' '.join(str(error).split())[:160] or 'the connection broke'}"


def _system_error(error: BaseException | None) -> str | None:
    """What the system says, which is shorter than what the client makes of it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno and error.errno > 0:
            return os.strerror(error.errno)
        error = error.__cause__ or error.__context__
    return None
