from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from flamegraph.options import RenderOptions
from flamegraph.svg import render
from tests.flamegraph.browsing import SEEN, Show
from tests.flamegraph.chromium import Page, installed, opened, running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

    from flamegraph.profile import Profile


@pytest.fixture(scope="module")
def browser() -> Generator[str]:
    if not installed():
        pytest.skip("chromium is not installed")
    with running() as devtools:
        yield devtools


@pytest.fixture
def show(browser: str, tmp_path: Path) -> Show:
    """Open a profile's drawing in a tab."""

    @asynccontextmanager
    async def shown(seen: Profile = SEEN, state: str = "", **options: object) -> AsyncGenerator[Page]:
        file = tmp_path / "drawing.svg"
        file.write_text(render(seen, RenderOptions(**options)), encoding="utf-8")  # type: ignore[arg-type]
        async with opened(browser) as page:
            await page.open(f"file://{file}{state}")
            yield page

    return shown
