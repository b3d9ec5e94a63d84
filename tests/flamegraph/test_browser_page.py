"""The drawing as a page of a real browser: its size, its colours, paper, screen readers, hostile names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from flamegraph.options import RenderOptions
from flamegraph.svg import render
from tests.flamegraph.browsing import SEEN, Show, click, press, search, where
from tests.flamegraph.chromium import opened
from tests.flamegraph.drawn import SVG
from tests.flamegraph.profiles import profile
from tests.flamegraph.redraw import BEFORE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.live, pytest.mark.timeout(60), pytest.mark.xdist_group("browser-page")]


async def test_an_empty_picture_opens(show: Show) -> None:
    async with show(profile()) as page:
        assert await search(page, "a") == "0% matched, 0 frames"


async def test_the_axis_follows_the_zoom(show: Show) -> None:
    async with show(BEFORE, layout="chart") as page:
        ticks = "[...document.querySelectorAll('#axis text')].map((one) => one.textContent)"
        assert (await page.run(ticks))[:3] == ["0 ms", "20 ms", "40 ms"]

        await click(page, "JSON.generate")

        assert await page.run(ticks) == ["40 ms", "45 ms", "50 ms", "55 ms", "60 ms"]


async def test_the_width_follows_the_window(show: Show) -> None:
    async with show() as page:
        await page.size(700, 600)
        await page.run("new Promise(requestAnimationFrame)")
        assert (await where(page, "main"))[2:] == [10, 680]
        dock = await page.run("document.querySelector('#dock').getBoundingClientRect().bottom")
        assert dock == 600


async def test_at_the_same_width_the_script_leaves_everything_in_its_place(show: Show) -> None:
    still = ET.fromstring(render(SEEN, RenderOptions()))  # noqa: S314 our own drawing
    placed = [still.find(f"{SVG}g[@id='body']"), *still.iterfind(f"{SVG}g[@id='legend']/{SVG}g")]
    expected = [
        [float(part) for part in re.findall(r"[\d.]+", one.attrib["transform"])] for one in placed if one is not None
    ]
    async with show() as page:
        given = await page.run(
            "[...document.querySelectorAll('#body, #legend > g')].map((one) => one.transform.baseVal[0].matrix)"
            ".map((matrix) => [matrix.e, matrix.f])"
        )

    assert sorted(expected) == sorted(given)


async def test_a_fixed_width_stays(show: Show) -> None:
    async with show(fluid=False, width=900) as page:
        await page.size(700, 600)
        assert (await where(page, "main"))[3] == 880


async def test_it_is_dark_where_the_user_wants_it_and_light_on_paper(show: Show) -> None:
    async with show() as page:
        back = "getComputedStyle(document.querySelector('#back')).fill"
        assert await page.run(back) == "rgb(255, 255, 255)"
        await page.media(prefers_color_scheme="dark")
        assert await page.run(back) == "rgb(13, 17, 23)"
        await page.media("print", prefers_color_scheme="dark")
        assert await page.run(back) == "rgb(255, 255, 255)"
        assert await page.run("getComputedStyle(document.querySelector('#dock')).display") == "none"


async def test_it_prints(show: Show) -> None:
    async with show() as page:
        given = await page.call("Page.printToPDF", preferCSSPageSize=True)
        assert given["data"].startswith("JVBERi0")
        assert (await where(page, "main"))[2:] == [10, 1180]


async def test_a_screen_reader_is_told_what_is_there(show: Show) -> None:
    async with show() as page:
        await press(page, "Home", "ArrowUp")
        given = await page.call("Accessibility.getFullAXTree")
        told = [
            (one["role"]["value"], one["name"]["value"])
            for one in given["nodes"]
            if not one["ignored"] and "name" in one
        ]

        assert ("tree", "Flame graph, 100 samples") in told
        assert ("treeitem", "read (20 samples, 20.00%) <cfunc>") in told
        assert ("searchbox", "Search frames") in told
        assert ("button", "Next match") in told
        assert ("button", "loader 2.1.0: 20.0% itself, 60.0% with what it calls") in told


async def test_nothing_is_loaded_but_the_file(show: Show) -> None:
    async with show(BEFORE) as page:
        assert await page.run("performance.getEntriesByType('resource').length") == 0


async def test_a_hostile_name_does_nothing(show: Show) -> None:
    async with show(BEFORE) as page:
        assert await page.run("document.querySelectorAll('svg').length") == 2
        assert await page.run("document.querySelectorAll('script').length") == 1
        assert await search(page, "</script>") == "10.89% matched, 1 frames"


async def test_without_scripts_the_picture_is_complete(browser: str, tmp_path: Path) -> None:
    file = tmp_path / "still.svg"
    file.write_text(render(SEEN, RenderOptions()), encoding="utf-8")
    async with opened(browser) as page:
        await page.call("Emulation.setScriptExecutionDisabled", value=True)
        await page.open(f"file://{file}")
        snapshot = await page.call("DOMSnapshot.captureSnapshot", computedStyles=[], includeDOMRects=True)

        words = {snapshot["strings"][index] for index in snapshot["documents"][0]["layout"]["text"] if index >= 0}
        assert {"all", "main", "load", "parse", "app", "loader 2.1.0", "100 samples"} <= words


async def test_it_works_inside_of_another_page(browser: str, tmp_path: Path) -> None:
    inside = render(SEEN, RenderOptions())
    (tmp_path / "page.html").write_text(
        f"<!doctype html><title>x</title><p>A page</p><textarea></textarea>{inside}", encoding="utf-8"
    )
    async with opened(browser) as page:
        await page.open(f"file://{tmp_path / 'page.html'}")

        await click(page, "load")
        await page.run("document.querySelector('textarea').focus()")
        await press(page, "u", "c")

        assert (await where(page, "load"))[3] > 1000
        assert await page.run("document.querySelector('textarea').value") == "uc"
