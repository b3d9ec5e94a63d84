from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from fleet.settings import load
from stoker.web import app, watch
from tests.stoker.web.rig import Staged, backend, happening, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stoker.web.rig import Served

Message = tuple[str, dict[str, Any]]


@pytest.fixture
def staged() -> Staged:
    return Staged()


@pytest.fixture
async def page(staged: Staged) -> AsyncIterator[Served]:
    async with served(load(None, app="production"), staged) as found:
        yield found


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def messages(answer: aiohttp.ClientResponse) -> AsyncIterator[Message]:
    kind = ""
    async for line in answer.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)


async def heard(answer: aiohttp.ClientResponse, name: str) -> Any:
    """The next that is told under this name."""
    async for _, content in messages(answer):
        if name in content:
            return content[name]
    raise AssertionError(f"{name} was never told")


async def test_a_viewer_is_told_everything_and_then_each_change(
    page: Served, staged: Staged, client: aiohttp.ClientSession
) -> None:
    first, second, third = (backend(number) for number in (1, 2, 3))
    await staged.report(staged.publish([first, second]))
    async with client.get(f"{page.address}/live") as answer:
        kind, whole = await anext(messages(answer))
        assert "whole" == kind
        assert ["stoker", "production", 1, 10] == [whole[name] for name in ("fleet", "app", "min", "max")]
        known = whole.get("backends", {})
        while "production2" not in known:
            known = await heard(answer, "backends")
        staged.publish([first, second, third], happening("decision", "2", "3", "panic"))
        while "production3" not in (told := await heard(answer, "backends")):
            pass
        assert ["production3"] == [name for name, entry in told.items() if isinstance(entry, list)]


async def test_a_decision_is_told_with_its_reasons(page: Served, staged: Staged, client: aiohttp.ClientSession) -> None:
    async with client.get(f"{page.address}/live") as answer:
        await anext(messages(answer))
        staged.publish([], happening("decision", "2", "3", "31 rps at target 10"))
        [event] = await heard(answer, "events")
        assert ("2", "3", ["31 rps at target 10"]) == (event["from"], event["to"], event["reasons"])


async def test_a_store_that_is_gone_is_told_and_so_is_its_return(
    page: Served, staged: Staged, client: aiohttp.ClientSession
) -> None:
    staged.publish([backend(1)])
    async with client.get(f"{page.address}/live") as answer:
        staged.store.outage = "pulled the plug"
        while (verdict := await heard(answer, "verdict"))["title"] != "No data: the store does not answer":
            pass
        assert "store in memory: pulled the plug" == verdict["lines"][0]
        staged.store.outage = None
        assert "" == await heard(answer, "trouble")


async def test_a_request_for_the_stream_s_head_alone_ends(page: Served, client: aiohttp.ClientSession) -> None:
    async with client.head(f"{page.address}/live") as answer:
        assert (200, "text/event-stream") == (answer.status, answer.content_type)


@pytest.mark.parametrize("path", ["/", "/live", "/assets/main.js", "/crashes/a.svg"])
async def test_nothing_but_reading_is_allowed(page: Served, client: aiohttp.ClientSession, path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONSENSE"):
        async with client.request(method, page.address + path) as answer:
            assert (405, {"GET", "HEAD"}) == (answer.status, set(answer.headers["Allow"].split(", ")))


async def test_a_strangers_name_for_this_machine_is_refused(page: Served, client: aiohttp.ClientSession) -> None:
    for path in ("/", "/live", "/nowhere"):
        async with client.get(page.address + path, headers={"Host": "rebound.example"}) as answer:
            assert 421 == answer.status
            assert "web.hosts" in await answer.text()


async def test_every_answer_tells_the_browser_what_it_may_do(page: Served, client: aiohttp.ClientSession) -> None:
    for path in ("/", "/live", "/nowhere", "/assets/page.css", "/assets/nothing.js", "/crashes/none.svg"):
        async with client.get(page.address + path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "nosniff" == answer.headers["X-Content-Type-Options"]
            assert {"default-src 'none'", "frame-ancestors 'none'", "script-src 'self'"} <= set(policy.split("; "))
            assert "unsafe" not in policy


async def test_a_file_that_the_browser_has_is_not_sent_again(page: Served, client: aiohttp.ClientSession) -> None:
    async with client.get(f"{page.address}/") as answer:
        tag = answer.headers["ETag"]
        assert f"data-version={tag}" in await answer.text()
    async with client.get(f"{page.address}/", headers={"If-None-Match": tag}) as answer:
        assert (304, b"") == (answer.status, await answer.read())


@pytest.mark.parametrize("name", ["..%2f..%2fapp.py", "__init__.py", "%00", "main.js%00.css"])
async def test_only_the_pages_own_files_are_served(page: Served, client: aiohttp.ClientSession, name: str) -> None:
    async with client.get(f"{page.address}/assets/{name}") as answer:
        assert 404 == answer.status


async def test_the_page_asks_nobody_else_and_has_nothing_inline(page: Served, client: aiohttp.ClientSession) -> None:
    async with client.get(f"{page.address}/") as answer:
        text = await answer.text()
    assert [] == re.findall(r"https?://|//[a-z]|\son\w+=|style=|<style|<script>", text)


async def test_more_viewers_than_can_be_served_are_told_so(
    page: Served, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "MOST_VIEWERS", 1)
    async with client.get(f"{page.address}/live") as first:
        await anext(messages(first))
        async with client.get(f"{page.address}/live") as second:
            assert (503, "10") == (second.status, second.headers["Retry-After"])
    async with asyncio.timeout(5):
        while True:
            async with client.get(f"{page.address}/live") as third:
                if third.status == 200:
                    return


async def test_the_store_is_read_no_oftener_for_more_viewers(
    page: Served, staged: Staged, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    status = type(staged.store).status

    def counted(store: Any, known: Any = None) -> Any:
        looks.append(1)
        return status(store, known)

    monkeypatch.setattr(type(staged.store), "status", counted)
    answers = [await client.get(f"{page.address}/live") for _ in range(20)]
    for answer in answers:
        await anext(messages(answer))
    looks.clear()
    await heard(answers[0], "sample")
    await heard(answers[0], "sample")
    assert len(looks) <= 2 * 1.0 / watch.LOOK_S + 3
    for answer in answers:
        answer.close()
