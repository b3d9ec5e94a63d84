"""One proxy for many tests, each of which lets other backends be its fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleet.settings import load
from tests.addon.rig import Proxy, proxy
from tests.valkey import LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.embedded import EmbeddedValkey


@pytest.fixture(scope="session")
def plane(valkey: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A running proxy with the defaults."""
    folder = tmp_path_factory.mktemp("plane")
    settings = load(None, fleet="shared-" + folder.name.translate(LETTERS), redis_url=valkey.url, state_dir=folder)
    with proxy(settings, folder) as running:
        yield running
