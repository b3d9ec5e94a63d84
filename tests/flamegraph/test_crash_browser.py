"""The picture of a crash in a real browser."""

from __future__ import annotations

import pytest

from tests.flamegraph.browsing import Show, click, details, labels, search, where
from tests.flamegraph.crash_documents import document, profile_of, table

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]

SEEN = profile_of(document(table((1000, (1, 2, 4)), (2000, (1, 2, 3)))))
ALONE = profile_of(document(unprofiled="busy"))


async def test_what_was_raised_is_as_wide_as_the_strip_and_fills_the_window_when_zoomed(show: Show) -> None:
    async with show(SEEN) as page:
        assert (await where(page, "KeyError"))[3] == pytest.approx(236, abs=1)
        assert {"price cart.rb:31", "KeyError"} <= set(await labels(page))

        await click(page, "price cart.rb:31")

        assert (await where(page, "KeyError"))[2:] == pytest.approx([10, 1180], abs=0.5)
        assert await details(page) == "price cart.rb:31 | raised here, not sampled · /srv/app/cart.rb:31"


async def test_search_finds_what_was_raised_and_its_share_is_that_of_the_samples(show: Show) -> None:
    async with show(SEEN) as page:
        assert await search(page, "KeyError") == "0% matched, 1 frames"
        assert await search(page, "total") == "20% matched, 1 frames"
        assert await search(page, "show") == "100% matched, 1 frames"
        assert await search(page, "e") == "100% matched, 5 frames"


async def test_under_zoom_shares_leave_the_strip_out(show: Show) -> None:
    async with show(SEEN) as page:
        await click(page, "CartsController#show")
        x, y, *_ = await where(page, "Cart#total")

        await page.hover(x, y)

        assert await details(page) == (
            "Cart#total | 2 ms, 20.00%, on the way to the exception · 20% of CartsController#show · /srv/app/cart.rb:22"
        )
        assert await search(page, "total") == "20% matched, 1 frames"


async def test_the_way_has_a_red_line_around(show: Show) -> None:
    async with show(SEEN) as page:
        lines = await page.run(
            "[...document.querySelectorAll('#frames > .way rect')].map((one) => getComputedStyle(one).stroke)"
        )

        assert lines == ["rgb(207, 34, 46)"] * 5


async def test_a_backtrace_alone_can_be_searched_and_zoomed(show: Show) -> None:
    async with show(ALONE) as page:
        assert await search(page, "cart.rb") == "0% matched, 3 frames"

        await click(page, "price cart.rb:31")

        assert (await where(page, "KeyError"))[2:] == pytest.approx([10, 1180], abs=0.5)
