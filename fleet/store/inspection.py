"""What a server says of itself, and what it lets this user do; nothing is written."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis

from fleet.store.address import Address
from fleet.store.connection import close, reaching
from fleet.store.fields import text
from fleet.store.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Mapping


LOCAL = ("localhost", "127.", "::1", "[::1]")


@dataclass(frozen=True, slots=True)
class Server:
    """What was found. `persistent`, and `time_s` are None where this user may not ask.

    `refused` are the commands that this user may not give on the fleet's keys and channels.
    """

    shown: str
    version: str
    role: str
    encrypted: bool
    local: bool
    persistent: bool | None
    saving_fails: bool
    policy: str
    memory_limit: int
    memory_used: int
    time_s: float | None
    refused: tuple[str, ...]
    product: str = "Redis"


@dataclass(frozen=True, slots=True)
class Inspection:
    """One look at a server."""

    client: redis.Redis
    address: Address
    keys: Keys

    def look(self) -> Server:
        """Raises StoreUnavailableError where it cannot be reached or may not be asked for anything."""
        options = self.address.options
        with reaching(self.address.shown):
            self.client.ping()
            about = self._about()
            policy, limit = text(about.get("maxmemory_policy", "")), int(about.get("maxmemory", 0))
            return Server(
                shown=self.address.shown,
                version=text(about.get("valkey_version") or about.get("redis_version", "")),
                role=text(about.get("role", "")),
                encrypted="ssl_ca_certs" in options,
                local="path" in options or str(options.get("host", "")).startswith(LOCAL),
                persistent=self._persistent(about),
                saving_fails="err" in (about.get("rdb_last_bgsave_status"), about.get("aof_last_write_status")),
                policy=policy,
                memory_limit=limit,
                memory_used=int(about.get("used_memory", 0)),
                time_s=self._time(),
                refused=self._refused(),
                product="Valkey" if "valkey_version" in about else "Redis",  # Valkey's redis_version is what it can do
            )

    def close(self) -> None:
        """Let the connection go."""
        close(self.client)

    def _about(self) -> Mapping[str, Any]:
        with suppress(redis.exceptions.NoPermissionError):
            about: Any = self.client.info("all")
            return dict(about)
        return {}

    def _persistent(self, about: Mapping[str, Any]) -> bool | None:
        if about.get("aof_enabled") == 1:
            return True
        try:
            saves: Any = self.client.config_get("save")
        except redis.ResponseError:  # many hosted servers know no CONFIG
            return None
        return bool(saves.get("save"))

    def _time(self) -> float | None:
        with suppress(redis.exceptions.NoPermissionError):
            seconds, micros = self.client.time()
            return float(seconds) + micros / 1_000_000
        return None

    def _refused(self) -> tuple[str, ...]:
        """Give every command that the parts give, on a key that is not there and in a form that changes nothing."""
        key = self.keys.crash(f"doctor-{secrets.token_hex(8)}")
        harmless: tuple[tuple[str | int, ...], ...] = (
            ("GET", key),
            ("SET", key, "", "XX"),
            ("PTTL", key),
            ("DEL", key),
            ("EXPIRE", key, 1),
            ("HGETALL", key),
            ("HDEL", key, "x"),
            ("ZRANGE", key, 0, -1),
            ("ZADD", key, "XX", 1, "x"),
            ("ZREM", key, "x"),
            ("XADD", key, "NOMKSTREAM", "*", "x", "x"),
            ("XREAD", "COUNT", 1, "STREAMS", key, "0-0"),
            ("XREVRANGE", key, "+", "-", "COUNT", 1),
            ("TYPE", key),
            ("TIME",),
            ("EVALSHA", "0" * 40, 1, key),
            ("PUBLISH", f"{self.keys.wake}-doctor", ""),
        )
        pipeline = self.client.pipeline(transaction=False)
        for command in harmless:
            pipeline.execute_command(*command)
        replies = pipeline.execute(raise_on_error=False)
        return tuple(
            str(command[0])
            for command, reply in zip(harmless, replies, strict=True)
            if isinstance(reply, redis.exceptions.NoPermissionError)
        )
