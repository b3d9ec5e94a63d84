from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.flamegraph.rails.rubies import Ruby, find
from tests.flamegraph.rails.shop import Shop, shop

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", params=["system", pytest.param("newer", marks=pytest.mark.long)])
def ruby(request: pytest.FixtureRequest) -> Ruby:
    return find(request.param)


@pytest.fixture(scope="module")
def open_shop(ruby: Ruby, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The example app on Puma with two workers of four threads, every request profiled."""
    with shop(ruby, tmp_path_factory.mktemp("shop")) as running:
        yield running
