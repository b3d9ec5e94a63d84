"""What a person does to a drawing in a browser, and what can be asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flamegraph.profile import Frame
from tests.flamegraph.profiles import profile

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from flamegraph.profile import Profile
    from tests.flamegraph.chromium import Page

SEEN = profile(
    ("main;load;parse", 30),
    ("main;load;parse;scan", 10),
    ("main;load;read", 20),
    ("main;work;parse", 40),
    frames=[
        Frame("main", "bin/app", 1),
        Frame("load", "/gems/loader-2.1.0/lib/load it.rb", 12),
        Frame("parse", "lib/parse.rb", 7),
        Frame("read", "<cfunc>"),
    ],
)

WHERE = """(name) => {
  const found = [...document.querySelectorAll('#frames > g')].find((g) => g.node.n === name);
  const box = found.querySelector('rect').getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2, box.x, box.width];
}"""


class Show(Protocol):
    def __call__(
        self, seen: Profile = SEEN, state: str = "", **options: object
    ) -> AbstractAsyncContextManager[Page]: ...


async def where(page: Page, name: str) -> list[float]:
    found: list[float] = await page.run(f"({WHERE})({name!r})")
    return found


async def click(page: Page, name: str, modifiers: int = 0) -> None:
    x, y, *_ = await where(page, name)
    await page.click(x, y, modifiers)


async def press(page: Page, *keys: str) -> None:
    for key in keys:
        await page.press(key)


async def search(page: Page, text: str) -> str:
    await page.press("/")
    await page.run("document.querySelector('input').value = ''")
    await page.type(text)
    said: str = await page.run("document.querySelector('output').textContent")
    return said


async def details(page: Page) -> str:
    said: str = await page.run("[...document.querySelectorAll('.what > *')].map((one) => one.textContent).join(' | ')")
    return said


async def labels(page: Page) -> list[str]:
    said: list[str] = await page.run("[...document.querySelectorAll('#labels text')].map((one) => one.textContent)")
    return said


async def current(page: Page) -> str:
    name: str = await page.run("document.activeElement.node?.n || document.activeElement.tagName")
    return name


async def address(page: Page) -> str:
    state: str = await page.run("location.hash")
    return state
