"""The page in a real browser: what a person sees of a fleet, of faults, and of strangers' texts."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from fleet.backend import Phase
from fleet.crash import Capture
from fleet.crash_document import pack, read_document
from fleet.settings import Settings, load
from tests.contracts.crashes import document, failure
from tests.flamegraph.chromium import Page, installed, opened, running
from tests.stoker.web.rig import Staged, backend, happening, served
from tests.valkey import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

pytestmark = pytest.mark.live

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>alert(1)</script>\u202e&amp;\x00'\"`"
# A scroll over the whole table; how many frames it took.
SCROLL = """async () => {
  const table = document.getElementById('table');
  let frames = 0;
  for (table.scrollTop = 0; table.scrollTop + table.clientHeight < table.scrollHeight - 1; table.scrollTop += 240) {
    await new Promise(requestAnimationFrame);
    frames += 1;
  }
  return frames;
}"""
# What is the page's own doing; painting, without a graphics card, is the machine's.
WORK = ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")


@pytest.fixture(scope="module")
def browser() -> Generator[str]:
    if not installed():
        pytest.skip("chromium is not installed")
    with running() as devtools:
        yield devtools


@pytest.fixture
def staged() -> Staged:
    return Staged()


@pytest.fixture
def settings() -> Settings:
    return load(None, app="production")


@asynccontextmanager
async def shown(browser: str, settings: Settings, staged: Staged, width: int = 1200) -> AsyncGenerator[Page]:
    async with served(settings, staged) as found, opened(browser, width, 900) as page:
        await page.open(f"{found.address}/")
        yield page


async def until(page: Page, expression: str) -> None:
    """Wait until it is true in the page."""
    given = (
        f"new Promise((done) => {{ const look = () => ({expression}) ? done(true) : setTimeout(look, 20); look(); }})"
    )
    async with asyncio.timeout(30):
        assert await page.run(given)


async def text(page: Page, selector: str) -> Any:
    return await page.run(f"document.querySelector({selector!r})?.innerText")


async def work_ms(page: Page) -> float:
    """The processor time that the page's scripts, styles and layout have taken so far."""
    await page.call("Performance.enable", timeDomain="threadTicks")
    metrics = (await page.call("Performance.getMetrics"))["metrics"]
    return 1000 * sum(float(one["value"]) for one in metrics if one["name"] in WORK)


async def all_well(staged: Staged, count: int = 2) -> None:
    generation = staged.publish([backend(number + 1) for number in range(count)])
    await staged.report(generation)


async def test_one_look_tells_that_all_is_well(browser: str, settings: Settings, staged: Staged) -> None:
    await all_well(staged)
    async with shown(browser, settings, staged) as page:
        await until(page, "document.getElementById('title').textContent === 'All well'")
        assert "good" == await page.run("document.body.dataset.level")
        assert "2/2 · stoker" == await page.run("document.title")
        assert "/assets/icon-good.svg" == await page.run("document.getElementById('icon').getAttribute('href')")
        assert "Live" == await text(page, "#link")
        assert ["production1", "production2"] == await page.run(
            "[...document.querySelectorAll('.backend')].map((row) => row.firstChild.textContent)"
        )


async def test_a_change_is_seen_without_asking(browser: str, settings: Settings, staged: Staged) -> None:
    await all_well(staged)
    async with shown(browser, settings, staged) as page:
        await until(page, "document.querySelectorAll('.backend').length === 2")
        told = happening("decision", "2", "3", "31.0 rps at target 10")
        staged.publish([backend(1), backend(2), backend(3, Phase.WARMING)], told)
        await until(page, "document.getElementById('title').textContent === '2 of 3 serving: 1 is warming'")
        assert "busy" == await page.run("document.body.dataset.level")
        assert "Warming1" == await text(page, "[data-phase=warming] h3")
        assert ["Desired 2 → 3", "31.0 rps at target 10"] == (await text(page, "#events li div")).split("\n\n")[:2]
        staged.publish([backend(1), backend(3)])
        await until(page, "document.querySelectorAll('.backend').length === 2")
        assert "production3" == await text(page, ".group[data-phase=serving] .backend:last-child > :first-child")


async def test_the_limits_are_those_in_force_with_the_schedule_that_raises_the_minimum(
    browser: str, settings: Settings, staged: Staged
) -> None:
    await all_well(staged)
    async with shown(browser, settings, staged) as page:
        await until(page, "document.getElementById('bounds').textContent === '1 to 10 allowed'")
        staged.publish([backend(1), backend(2)], minimum=2, schedule="office hours")
        words = "2 to 10 allowed, by schedule office hours"
        await until(page, f"document.getElementById('bounds').textContent === '{words}'")


async def test_strangers_texts_are_shown_as_text(browser: str, settings: Settings, staged: Staged) -> None:
    await staged.crashes.failed([failure("c1", path=f"/{HOSTILE}", backend=HOSTILE)])
    await staged.crashes.captured(Capture("c1", HOSTILE, HOSTILE, HOSTILE), b"")
    staged.publish(
        [backend(1, spec=HOSTILE, host=HOSTILE, url=f"http://{HOSTILE}")],
        happening(HOSTILE, HOSTILE, HOSTILE, HOSTILE, subject=HOSTILE),
        happening("deploy", HOSTILE, HOSTILE, HOSTILE),
        reasons=(HOSTILE,),
    )
    async with shown(browser, settings, staged) as page:
        await until(
            page, "document.querySelectorAll('#events li').length === 2 && document.querySelector('#crashes li')"
        )
        assert 0 == await page.run(
            "document.querySelectorAll('main img, main script, main :not(#chart *)[onerror]').length"
        )
        assert "owned" != await page.run("document.title")
        for place in ("#events p", "#deploys p", "#crashes strong", ".backend :nth-child(4)", "#reasons"):
            assert "<img src=x" in await page.run(f"document.querySelector({place!r}).textContent"), place


async def test_a_page_left_open_over_a_restart_says_so_and_comes_right(
    browser: str, settings: Settings, staged: Staged
) -> None:
    port = free_port()
    await all_well(staged)
    async with opened(browser, 1200, 900) as page:
        async with served(settings, staged, port):
            await page.open(f"http://127.0.0.1:{port}/")
            await until(page, "document.getElementById('title').textContent === 'All well'")
        await until(page, "document.body.dataset.level === 'bad'")
        assert "No connection to this page's server" == await text(page, "#title")
        assert "no" == await page.run("document.body.dataset.fresh")
        staged.publish([backend(number) for number in (1, 2, 3)])
        async with served(settings, staged, port):
            await until(page, "document.querySelectorAll('.backend').length === 3")
            await until(page, "document.getElementById('link').textContent.startsWith('Connected again after')")
            assert "yes" == await page.run("document.body.dataset.fresh")


async def test_a_store_that_is_gone_is_said_and_what_was_known_stays(
    browser: str, settings: Settings, staged: Staged
) -> None:
    await all_well(staged)
    async with shown(browser, settings, staged) as page:
        await until(page, "document.body.dataset.level === 'good'")
        staged.store.outage = "pulled the plug"
        await until(page, "document.body.dataset.level === 'bad'")
        assert "No data: the store does not answer" == await text(page, "#title")
        assert 2 == await page.run("document.querySelectorAll('.backend').length")
        staged.store.outage = None
        await all_well(staged)
        await until(page, "document.body.dataset.level === 'good' && document.body.dataset.fresh === 'yes'")


@pytest.mark.parametrize("width", [320, 390, 768, 1200, 2000])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nothing_is_wider_than_the_window(
    browser: str, settings: Settings, staged: Staged, width: int, scheme: str
) -> None:
    long = "A reason that nobody cut " + "x" * 300
    staged.publish([backend(1, spec="f" * 64, host="h" * 250)], happening("decision", "1", "2", long), reasons=(long,))
    async with shown(browser, settings, staged, width) as page:
        await page.media(prefers_color_scheme=scheme)
        await until(page, "document.querySelectorAll('.backend').length === 1")
        assert await page.run("document.documentElement.scrollWidth <= innerWidth")
        assert [] == await page.run(CONTRAST)


# Texts whose colour is too near to what lies behind them (WCAG 2, 4.5 to 1; 3 to 1 where they are large).
CONTRAST = """(() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const linear = (one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = channels(colour).map((one) => linear(one / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (!(channels(colour)[3] === 0)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const found = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    if (!own || node.closest('svg, noscript, [hidden], .hidden, .skip')) continue;
    const style = getComputedStyle(node), [a, b] = [light(style.color), light(behind(node))].sort((x, y) => y - x);
    const wanted = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < wanted) found.push(`${node.textContent.slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return found;
})()"""


async def test_the_keyboard_alone_is_enough(browser: str, settings: Settings, staged: Staged) -> None:
    generation = staged.publish(
        [backend(1), backend(2)], happening("instance", "warming", "serving", subject="production1")
    )
    await staged.report(generation)
    async with shown(browser, settings, staged) as page:
        await until(page, "document.querySelectorAll('.backend').length === 2")
        await page.press("/")
        await page.type("production2")
        await until(page, "document.querySelectorAll('.backend:not([hidden])').length === 1")
        assert "1 of 2" == await text(page, "#instances-count")
        await page.press("Escape")
        await until(page, "document.querySelectorAll('.backend:not([hidden])').length === 2")
        await page.run("document.getElementById('chart').focus()")
        await page.press("ArrowLeft")
        await until(page, "document.getElementById('readout').textContent.includes('Serving 2')")
        reached = []
        await page.run("document.activeElement.blur()")
        for _ in range(8):
            await page.press("Tab")
            reached.append(await page.run("document.activeElement.id || document.activeElement.innerText"))
        assert {"chart", "find", "table", "Everything", "events"} <= set(reached)
        await page.run("document.querySelector('[data-show=all]').focus()")
        assert "none" == await page.run("getComputedStyle(document.querySelector('#events li')).display")
        await page.press("Enter")
        assert "grid" == await page.run("getComputedStyle(document.querySelector('#events li')).display")


async def test_nobody_else_is_asked_for_anything(browser: str, settings: Settings, staged: Staged) -> None:
    await all_well(staged)
    async with shown(browser, settings, staged) as page:
        await until(page, "document.body.dataset.level === 'good'")
        asked = await page.run("performance.getEntriesByType('resource').map((one) => new URL(one.name).origin)")
        assert {await page.run("location.origin")} == set(asked)


async def test_deploys_and_crashes_appear_with_the_first_of_them(
    browser: str, settings: Settings, staged: Staged
) -> None:
    await all_well(staged)
    async with shown(browser, settings, staged) as page:
        await until(page, "document.body.dataset.level === 'good'")
        assert [True, True] == await page.run(
            "[...document.querySelectorAll('#crashes-panel, #deploys-panel')].map((one) => one.hidden)"
        )
        staged.publish([backend(1), backend(2)], happening("deploy", "1.4", "1.5", "2 of 2 serve it"))
        await staged.crashes.failed([failure("c1"), failure("c2")])
        await staged.crashes.captured(
            Capture("c2", "ZeroDivisionError", "divided by 0", "app/order.rb:12:in share"), b""
        )
        await until(
            page, "document.querySelectorAll('#deploys li').length === 1 && document.querySelector('#crashes a')"
        )
        assert ["/crashes/c2.svg"] == await page.run(
            "[...document.querySelectorAll('#crashes a')].map((one) => one.getAttribute('href'))"
        )
        assert "ZeroDivisionError GET /orders/1" == (await text(page, "#crashes li div")).split("\n")[0]


async def test_a_thousand_instances_are_drawn_and_scrolled_without_stutter(
    browser: str, settings: Settings, staged: Staged
) -> None:
    generation = staged.publish([backend(number) for number in range(1, 1001)])
    await staged.report(generation)
    async with shown(browser, settings, staged) as page:
        await until(page, "document.querySelectorAll('.backend').length === 1000")
        before = await work_ms(page)
        frames = await page.run(f"({SCROLL})()")
        assert frames > 80
        assert (await work_ms(page) - before) / frames < 8


async def test_a_crash_s_flame_graph_runs_its_own_script_and_reaches_nothing(
    browser: str, settings: Settings, staged: Staged
) -> None:
    await staged.crashes.failed([failure("c1")])
    await staged.crashes.captured(*pack(read_document(document("c1"), "c1"), {}))
    async with served(settings, staged) as found, opened(browser) as page:
        await page.open(f"{found.address}/crashes/c1.svg")
        await until(page, "document.querySelector('#frames > g')?.node")
        assert "null" == await page.run("self.origin")
        assert "refused" == await page.run("fetch('/live').then(() => 'answered', () => 'refused')")
