"""Connections to the server, and what is said when it cannot be reached. Nothing is tried twice: the caller decides."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import redis
import redis.asyncio
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

# What a server's own words mean; an error inside a script carries them somewhere in its text, so order matters.
MEANINGS = (
    ("NOAUTH", "a password is needed; set it in redis_url or redis_password_file"),
    ("WRONGPASS", "wrong user or password"),
    ("invalid username-password", "wrong user or password"),
    ("invalid password", "wrong user or password"),
    ("without any password configured", "a password was sent, but the server has none"),
    ("NOPERM", "this user may not do that"),
    ("READONLY", "read-only: a replica, not the primary"),
    ("read only replica", "read-only: a replica, not the primary"),
    ("LOADING", "still loading its data"),
    ("loading the dataset", "still loading its data"),
    ("MASTERDOWN", "a replica that lost its primary"),
    ("MISCONF", "it cannot save to its disk and takes no writes"),
    ("OOM", "out of memory and takes no writes"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not signed by redis_ca_file, or is not for this host"),
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


def _reason(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__} {error}".split())
    for words, meaning in MEANINGS:
        if words in text:
            return meaning
    if isinstance(error, redis.ResponseError):
        return f"it refuses: {text[:160]}"
    return f"unreachable: {' '.join(str(error).split())[:160] or 'the connection broke'}"
