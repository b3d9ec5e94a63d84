"""Real pages of rack-mini-profiler, from an app that has nothing else, to the picture that is drawn of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

import flamegraph
from addon.capturing import Capturer, Job
from addon.replay import Replayer
from fleet.crash import Source
from fleet.crash_journal import Journal
from fleet.memory_crashes import MemoryCrashes
from tests.contracts.crashes import failure
from tests.haproxy.rig import until

PAGES = Path(__file__).resolve().parents[3] / "shared/profiles/mini_profiler"


@pytest.mark.skipif(not PAGES.is_dir(), reason="../shared/profiles/mini_profiler is not there")
@pytest.mark.parametrize("page", sorted(PAGES.glob("*.html")), ids=lambda page: page.name)
def test_the_graph_of_any_version_is_drawn_and_labelled_as_a_replay(page: Path) -> None:
    text = asyncio.run(replayed(page.read_bytes()))
    svg = flamegraph.render(flamegraph.read(text, format="crash"))
    assert "replay, not the failed request" in svg
    assert "GET /orders/1" in svg
    assert "no samples" not in svg


async def replayed(page: bytes) -> bytes:
    """The document that is kept of a crash whose replay is answered by that page, with the status of a failure."""
    store = MemoryCrashes(lambda: 100.0)
    journal = Journal(lambda: store, list[str]().append)
    capturer = Capturer(journal, None, Replayer(60.0))

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(status=500, body=page, content_type="text/html")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    crash = failure("c1")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(journal.run()), group.create_task(capturer.run())]
        journal.note(crash)
        capturer.add(Job(crash, f"http://127.0.0.1:{runner.addresses[0][1]}", "/orders/1", {}))
        await until(lambda: store.document("c1") is not None, "captured")
        for task in tasks:
            task.cancel()
    await runner.cleanup()
    [listed] = store.crashes(limit=2).crashes
    assert listed.capture is not None
    assert (Source.REPLAY, True) == (listed.capture.source, listed.capture.profiled)
    return store.document("c1") or b""
