"""What a server says of itself, and what it lets this user do; nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis

from fleet.store.address import Address
from fleet.store.connection import close, reaching
from fleet.store.fields import text
from fleet.store.keys import Keys
from fleet.store.rights import Role, refused

LOCAL = ("localhost", "127.", "::1", "[::1]")


@dataclass(frozen=True, slots=True)
class Server:
    """What was found. `persistent`, and `time_s` are None where this user may not ask.

    `refused` is by role what it needs and this user may not.
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
    refused: Mapping[Role, tuple[str, ...]]
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
                refused=refused(self.client, self.keys),
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
