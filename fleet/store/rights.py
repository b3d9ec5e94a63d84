"""What each part gives a server, as the users of example/redis.acl may; asked for without giving any of it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import redis

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from fleet.store.keys import Keys

Words = tuple[str, ...]
NO_SCRIPT = "0" * 40


class Role(StrEnum):
    """Who connects."""

    SCALER = "scaler"
    PROXY = "proxy"
    WEBHOOKS = "webhooks"
    OPERATOR = "operator"
    READER = "reader"


# What nobody else may write.
OWN = {Role.SCALER: "HSET backends", Role.PROXY: "HSET proxy:*", Role.WEBHOOKS: "HSET webhooks"}


def needs(keys: Keys) -> Mapping[Role, Mapping[str, Words]]:
    """By role, what it must be allowed: how it is shown, and the command."""
    proxy, crash = keys.proxy("*"), keys.crash("*")
    scripts = (("EVALSHA", NO_SCRIPT, "2", proxy, keys.backends), ("SCRIPT", "LOAD", "return 1"))
    looks = (
        *(("HGETALL", keys.backends), ("GET", keys.instances), ("GET", crash), ("HMGET", keys.scaler, "x")),
        *(("HGETALL", keys.definition), ("HGETALL", proxy), ("PTTL", keys.lease), ("SMEMBERS", keys.lasting)),
        *(("ZRANGE", keys.proxies, "0", "-1"), ("ZRANGE", keys.scalers, "0", "-1"), ("TIME",)),
        *(("XREAD", "STREAMS", keys.events, "0-0"), ("XREVRANGE", keys.crashes, "+", "-")),
    )
    scaler = (
        *(("HSET", key, "x", "x") for key in (keys.backends, keys.definition, keys.scaler)),
        *(("SET", key, "x") for key in (keys.lease, keys.token, keys.generation, keys.instances, keys.serial)),
        *(("ZADD", keys.scalers, "1", "x"), ("ZADD", keys.proxies, "1", "x"), ("XADD", keys.events, "*", "x", "x")),
        *(("SADD", keys.lasting, "x"), ("SREM", keys.lasting, "x"), ("HDEL", keys.backends, "x")),
        *(("PEXPIRE", keys.lease, "1"), ("PTTL", keys.lease), ("GET", keys.lease), ("TYPE", keys.events)),
        *(("DEL", key) for key in (keys.lease, keys.backends, keys.events, keys.orders, keys.scaler)),
        *(
            ("ZREM", keys.proxies, "x"),
            ("ZREMRANGEBYSCORE", keys.scalers, "0", "1"),
            ("ZRANGE", keys.proxies, "0", "1"),
        ),
        *(("HGET", keys.scaler, "x"), ("HGETALL", proxy), ("HLEN", keys.scaler), ("HMGET", keys.scaler, "x")),
        *(("SMEMBERS", keys.lasting), ("XRANGE", keys.orders, "-", "+"), ("TIME",), ("INFO",)),
        *(*scripts, ("SUBSCRIBE", keys.wake), ("UNSUBSCRIBE",), ("PUBLISH", keys.changes, "0")),
    )
    plane = (
        *(("HSET", proxy, "x", "x"), ("DEL", proxy), ("PEXPIRE", proxy, "1"), ("HGET", proxy, "x"), ("HLEN", proxy)),
        *(("ZADD", keys.proxies, "1", "x"), ("ZREM", keys.proxies, "x"), ("SADD", keys.lasting, "x")),
        *(("SREM", keys.lasting, "x"), ("HGETALL", keys.backends), ("GET", keys.generation)),
        *(("GET", keys.instances), ("TIME",)),
        *(("SET", crash, "x"), ("XADD", keys.crashes, "*", "x", "x"), ("XTRIM", keys.crashes, "MAXLEN", "1")),
        *(("ZADD", keys.crash_index, "1", "x"), ("ZCARD", keys.crash_index), ("ZRANGE", keys.crash_index, "0", "1")),
        *(("ZREMRANGEBYSCORE", keys.crash_index, "0", "1"), ("TYPE", keys.crashes)),
        *(("EVALSHA", NO_SCRIPT, "2", proxy, keys.proxies), ("SCRIPT", "LOAD", "return 1")),
        *(("SUBSCRIBE", keys.changes), ("UNSUBSCRIBE",), ("PUBLISH", keys.wake, "x")),
    )
    courier = (
        *(("HSET", keys.webhooks, "x", "x"), ("SET", keys.webhooks_lock, "x"), ("DEL", keys.webhooks_lock)),
        *(("HGET", keys.webhooks, "x"), ("TYPE", keys.webhooks), ("EVALSHA", NO_SCRIPT, "1", keys.webhooks)),
        *(scripts[1], *looks),
    )
    operator = (("XADD", keys.orders, "*", "x", "x"), ("PUBLISH", keys.wake, "x"), *looks)
    roles = (
        *((Role.SCALER, scaler), (Role.PROXY, plane), (Role.WEBHOOKS, courier)),
        *((Role.OPERATOR, operator), (Role.READER, looks)),
    )
    return {role: {_shown(keys, words): words for words in commands} for role, commands in roles}


def _shown(keys: Keys, words: Words) -> str:
    """The command and the key or channel that it is given for."""
    command = " ".join(words[:2]) if words[0] == "SCRIPT" else words[0]
    prefix = keys.backends.removesuffix("backends")
    found = [word.removeprefix(prefix) for word in words if word.startswith(prefix)]
    return " ".join([command, *found[:1]])


def held(refused: Mapping[Role, Collection[str]]) -> tuple[Role, ...]:
    """The roles that such a user was made for, by what only they write; all of them for one that may do everything."""
    found = tuple(role for role, own in OWN.items() if own not in refused[role])
    if len(found) == len(OWN):
        return tuple(Role)
    if found:
        return found
    return (Role.READER,) if "XADD orders" in refused[Role.OPERATOR] else (Role.OPERATOR,)


def refused(client: redis.Redis, keys: Keys) -> Mapping[Role, tuple[str, ...]]:
    """By role, which of its needs the server denies this user.

    All are only queued in a transaction that is never executed: rights are looked at when a command is queued.
    """
    connection = client.connection_pool.get_connection()
    try:
        if _denies(connection, ("MULTI",)):
            return dict.fromkeys(Role, ("MULTI",))
        return {
            role: tuple(shown for shown, words in commands.items() if _denies(connection, words))
            for role, commands in needs(keys).items()
        }
    finally:
        connection.disconnect()
        client.connection_pool.release(connection)


def _denies(connection: redis.connection.AbstractConnection, words: Words) -> bool:
    connection.send_command(*words)
    try:
        connection.read_response()
    except redis.exceptions.NoPermissionError:
        return True
    except redis.exceptions.ResponseError:  # hosted servers know not every command, which is no matter of rights
        return False
    return False
