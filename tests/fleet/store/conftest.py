"""A server's doors, opened for one test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleet.store.keys import Keys
from fleet.store.opening import open_desk, open_noticeboard, open_registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fleet.settings import Settings
    from fleet.store.desk import RedisDesk
    from fleet.store.proxy_side import RedisNoticeboard
    from fleet.store.scaler_side import RedisRegistry


@pytest.fixture
def keys(store_settings: Settings) -> Keys:
    return Keys(store_settings.fleet, store_settings.app)


@pytest.fixture
def registry(store_settings: Settings) -> Iterator[RedisRegistry]:
    opened = open_registry(store_settings)
    yield opened
    opened.close()


@pytest.fixture
def desk(store_settings: Settings) -> Iterator[RedisDesk]:
    opened = open_desk(store_settings)
    yield opened
    opened.close()


@pytest.fixture
async def board(store_settings: Settings) -> AsyncIterator[RedisNoticeboard]:
    opened = open_noticeboard(store_settings)
    yield opened
    await opened.aclose()
