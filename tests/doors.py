"""Doors to a store for a test that looks through them again and again, and must outlast a server that stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    import redis

STANDSTILL_S = 20.0


class Door(Protocol):
    """Any that speaks with a server."""

    @property
    def client(self) -> redis.Redis:
        """Its connections."""


D = TypeVar("D", bound=Door)


def patient(door: D) -> D:
    """The same door, which waits for its server longer than any part of Stoker does."""
    door.client.connection_pool.connection_kwargs["socket_timeout"] = STANDSTILL_S
    return door
