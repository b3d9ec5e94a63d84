"""The drawing in a real browser: what a person clicks, types and hears of it."""

from __future__ import annotations

import pytest

from tests.flamegraph.browsing import Show, address, click, current, details, labels, press, search, where
from tests.flamegraph.chromium import CONTROL, SHIFT
from tests.flamegraph.profiles import profile

pytestmark = [pytest.mark.live, pytest.mark.timeout(60), pytest.mark.xdist_group("browser")]

THIN = profile(("main;wide", 99_990), ("main;slim", 6), ("main;slim;thread", 3), ("main;slim;yarn", 1))


async def test_a_click_zooms_and_escape_resets(show: Show) -> None:
    async with show() as page:
        await click(page, "load")
        assert await page.run("document.querySelector('#frames').getAttribute('viewBox')") == "0 0 60 85"
        assert (await where(page, "load"))[2:] == [10, 1180]
        assert await page.run("document.querySelectorAll('#frames > .up').length") == 2
        assert await labels(page) == ["all", "main", "load", "parse", "read", "scan"]

        await page.press("Escape")

        assert await page.run("document.querySelector('#frames').getAttribute('viewBox')") == "0 0 100 85"
        assert await labels(page) == ["all", "main", "load", "work", "parse", "read", "parse", "scan"]


async def test_the_button_resets_the_zoom(show: Show) -> None:
    async with show() as page:
        button = "document.querySelector('[data-do=reset]')"
        assert await page.run(f"{button}.disabled") is True
        await click(page, "load")
        assert await page.run(f"{button}.disabled") is False

        await page.run(f"{button}.click()")

        assert (await where(page, "main"))[2:] == [10, 1180]
        assert await page.run(f"{button}.disabled") is True


async def test_under_zoom_a_frame_says_its_share_of_the_zoomed_one(show: Show) -> None:
    async with show() as page:
        await click(page, "load")
        x, y, *_ = await where(page, "read")

        await page.hover(x, y)

        assert await details(page) == "read | 20 samples, 20.00% · 33.33% of load · <cfunc>"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("parse", "80% matched, 2 frames"),
        ("PARSE", "0% matched, 0 frames"),
        ("a", "100% matched, 6 frames"),
        ("/^(read|scan)$/", "30% matched, 2 frames"),
        ("/PARSE/i", "80% matched, 2 frames"),
        ("samples", "0% matched, 0 frames"),
        ("", ""),
    ],
)
async def test_search_says_what_share_of_the_samples_matched(show: Show, text: str, said: str) -> None:
    async with show() as page:
        assert said == await search(page, text)
        hits = await page.run("document.querySelectorAll('#frames > .hit').length")
        assert str(hits) == (said.split()[2] if said else "0")


async def test_under_zoom_search_counts_only_what_is_zoomed(show: Show) -> None:
    async with show() as page:
        await search(page, "parse")

        await page.press("Escape")
        await search(page, "parse")
        await click(page, "load")

        assert await page.run("document.querySelector('output').textContent") == "66.67% matched, 1 frames"


async def test_a_broken_regexp_is_said_and_nothing_breaks(show: Show) -> None:
    async with show() as page:
        assert "Unterminated group" in await search(page, "/(/")
        assert await page.run("document.querySelector('input').hasAttribute('aria-invalid')") is True
        assert await search(page, "read") == "20% matched, 1 frames"


async def test_next_and_previous_match(show: Show) -> None:
    async with show() as page:
        await search(page, "/read|scan|work/")
        seen = []
        await page.run("document.querySelector('#frames > g').focus()")
        for key, modifiers in (("n", 0), ("n", 0), ("n", 0), ("n", 0), ("N", SHIFT)):
            await page.press(key, modifiers)
            seen.append(await current(page))

        assert seen == ["scan", "read", "work", "scan", "work"]


async def test_enter_in_the_search_goes_to_the_next_match_and_stays_there(show: Show) -> None:
    async with show() as page:
        await search(page, "read")

        await page.press("Enter")

        assert (await details(page)).startswith("read |")
        assert await current(page) == "input"


async def test_the_legend_filters_by_click_and_by_key(show: Show) -> None:
    async with show() as page:
        lit = "[...document.querySelectorAll('#frames > g:not(.dim)')].map((g) => g.node.n)"
        x, y = await page.run("(() => { const b = document.querySelectorAll('.row')[1].getBoundingClientRect();"
                              " return [b.x + 30, b.y + 9]; })()")  # fmt: skip

        await page.click(x, y)

        assert await page.run(lit) == ["load", "read"]
        assert await page.run("document.querySelectorAll('.row')[1].getAttribute('aria-pressed')") == "true"
        assert await address(page) == "#g=1"
        await page.press("l")
        await press(page, "Tab", " ")
        assert len(await page.run(lit)) == 8


async def test_arrows_walk_and_enter_zooms(show: Show) -> None:
    async with show() as page:
        await press(page, "Home")
        seen = [await current(page)]
        for key in ("ArrowUp", "ArrowUp", "ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown"):
            await page.press(key)
            seen.append(await current(page))

        await page.press("Enter")

        assert seen == ["all", "main", "load", "work", "load", "parse", "load"]
        assert (await where(page, "load"))[2:] == [10, 1180]
        await page.press("u")
        assert (await where(page, "main"))[2:] == [10, 1180]
        assert (await where(page, "load"))[3] < 1180


async def test_on_an_icicle_arrows_walk_the_other_way(show: Show) -> None:
    async with show(layout="icicle") as page:
        await press(page, "Home", "ArrowDown", "ArrowDown")
        assert await current(page) == "load"
        await press(page, "ArrowUp")
        assert await current(page) == "main"


async def test_control_f_opens_the_search_and_escape_leaves_it(show: Show) -> None:
    async with show() as page:
        await page.press("f", CONTROL)
        assert await current(page) == "input"
        await page.type("read")

        await page.press("Escape")

        assert await page.run("document.querySelectorAll('.hit').length") == 0
        assert await current(page) == "all"


async def test_the_state_is_in_the_address_and_comes_back(show: Show) -> None:
    async with show() as page:
        await search(page, "parse")
        await page.press("Enter")
        await click(page, "load")
        state = await address(page)

    async with show(state=state) as page:
        assert (await where(page, "load"))[2:] == [10, 1180]
        assert await page.run("document.querySelector('input').value") == "parse"
        assert await page.run("document.querySelector('output').textContent") == "66.67% matched, 1 frames"


@pytest.mark.parametrize("state", ["#z=7_99", "#z=x", "#g=999", "#s=%2F(%2F", "#nonsense", "#z=0_0&s=%E0%A4%A"])
async def test_an_address_of_another_picture_does_no_harm(show: Show, state: str) -> None:
    async with show(state=state) as page:
        assert (await where(page, "main"))[2:] == [10, 1180]


async def test_back_leaves_the_zoom(show: Show) -> None:
    async with show() as page:
        await click(page, "load")
        await page.run(
            "new Promise((done) => { addEventListener('popstate', () => setTimeout(done)); history.back(); })"
        )

        assert (await where(page, "main"))[2:] == [10, 1180]
        assert (await where(page, "load"))[3] < 1180


async def test_the_name_of_a_frame_is_copied(show: Show) -> None:
    async with show() as page:
        await page.allow("clipboardReadWrite", "clipboardSanitizedWrite")
        await click(page, "load")

        await page.press("c")

        assert await page.run("navigator.clipboard.readText()") == "load"
        assert await page.run("document.querySelector('output').textContent") == "Copied"


async def test_a_frame_links_to_its_line_in_the_editor(show: Show) -> None:
    async with show(link="vscode://file/{file}:{line}") as page:
        opener = "document.querySelector('.open')"
        await click(page, "load")
        assert await page.run(f"{opener}.href") == "vscode://file//gems/loader-2.1.0/lib/load%20it.rb:12"
        await click(page, "read")
        assert await page.run(f"{opener}.hidden") is True


async def test_without_a_link_nothing_can_be_opened(show: Show) -> None:
    async with show() as page:
        await click(page, "load")
        assert await page.run("document.querySelector('.open').hidden") is True


async def test_frames_too_narrow_to_draw_are_found_and_drawn_under_zoom(show: Show) -> None:
    async with show(THIN, min_percent=0.0085) as page:
        drawn = "[...document.querySelectorAll('#frames > g')].map((g) => g.node.n)"
        assert await page.run(drawn) == ["all", "main", "slim", "wide"]
        assert await search(page, "thread") == "0% matched, 1 frames"
        await page.press("Escape")

        await press(page, "Home", "ArrowUp", "ArrowUp", "ArrowLeft")
        assert await details(page) == "slim | 10 samples, 0.01% · 2 more here"
        await page.press("Enter")

        assert await page.run(drawn) == ["all", "main", "slim", "wide", "thread", "yarn"]
        assert await search(page, "thread") == "30% matched, 1 frames"
        await press(page, "Enter")
        assert await details(page) == "thread | 3 samples, 0% · 30% of slim"
        assert "thread" in await labels(page)


async def test_a_tiny_frame_at_the_end_of_a_huge_picture_is_zoomed_to_the_pixel(show: Show) -> None:
    huge = profile(("main;all the rest", 3_999_999_900), ("main;tiny;left", 30), ("main;tiny;right", 70))
    async with show(huge, min_percent=0) as page:
        tiny = await page.run("[...document.querySelectorAll('#frames > g')].find((g) => g.node.n === 'tiny').node.x")
        assert tiny == 3_999_999_900

        await page.run("[...document.querySelectorAll('#frames > g')].find((g) => g.node.n === 'tiny')"
                       ".dispatchEvent(new MouseEvent('click', { bubbles: true }))")  # fmt: skip

        assert (await where(page, "tiny"))[2:] == pytest.approx([10, 1180], abs=0.5)
        assert (await where(page, "left"))[2:] == pytest.approx([10, 354], abs=0.5)
        assert (await where(page, "right"))[2:] == pytest.approx([364, 826], abs=0.5)
        await page.press("Escape")
        assert (await where(page, "main"))[2:] == [10, 1180]
