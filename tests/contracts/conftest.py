"""The store in memory, and those on real servers; `store_url` is what every suite over all of them begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleet.settings import load
from tests.contracts.stores import InMemory, OnServer, Store
from tests.valkey import folder, free_port, installed, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fleet.embedded import EmbeddedValkey


@pytest.fixture(scope="session")
def debian_redis() -> Iterator[str]:
    """The url of a redis-server found on PATH, of whatever version."""
    binary, port = installed("redis-server"), free_port()
    with folder() as path, serving([binary, "--port", str(port), "--dir", str(path), "--save", ""], port):
        yield f"redis://127.0.0.1:{port}"


@pytest.fixture(params=["memory", "valkey", "redis"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """Where the store is: None is in memory."""
    match request.param:
        case "memory":
            return None
        case "valkey":
            server: EmbeddedValkey = request.getfixturevalue("valkey")
            return server.url
        case _:
            url: str = request.getfixturevalue("debian_redis")
            return url


@pytest.fixture
async def store(store_url: str | None, fleet_name: str) -> AsyncIterator[Store]:
    if store_url is None:
        yield InMemory()
        return
    opened = OnServer(load(None, fleet=fleet_name, redis_url=store_url))
    yield opened
    opened.lose_all_data()
    opened.scaler.close()
    opened.desk.close()
    await opened.board.aclose()
