"""The store in memory, and those on real servers."""

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
async def store(request: pytest.FixtureRequest, fleet_name: str) -> AsyncIterator[Store]:
    match request.param:
        case "memory":
            yield InMemory()
            return
        case "valkey":
            server: EmbeddedValkey = request.getfixturevalue("valkey")
            url = server.url
        case _:
            url = request.getfixturevalue("debian_redis")
    opened = OnServer(load(None, fleet=fleet_name, redis_url=url))
    yield opened
    opened.lose_all_data()
    opened.scaler.close()
    opened.desk.close()
    await opened.board.aclose()
