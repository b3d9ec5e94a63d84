"""The example Rails app on Puma behind a real mitmdump: a page that fails is listed with its exception and profile."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp
import pytest

from fleet.crash import Symptom
from fleet.settings import load
from fleet.store.opening import open_crash_desk
from tests.addon.crash_app import CrashApp
from tests.addon.rig import proxy
from tests.flamegraph.rails.rubies import Ruby, find
from tests.flamegraph.rails.shop import TOKEN, shop

if TYPE_CHECKING:
    from pathlib import Path

    from fleet.crash import Crash
    from fleet.embedded import EmbeddedValkey

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

EXPECTED = {
    "/deep": ("Delivery::Lost", 500, Symptom.STATUS),
    "/waiting": ("RuntimeError", 500, Symptom.STATUS),
    "/overflow": ("SystemStackError", 500, Symptom.STATUS),
    "/stream": ("Delivery::Lost", 200, Symptom.BROKEN),
    "/late": ("Timeout::Error", 500, Symptom.STATUS),
}


@pytest.fixture(params=["system", pytest.param("newer", marks=pytest.mark.long)])
def ruby(request: pytest.FixtureRequest) -> Ruby:
    return find(request.param)


async def test_each_page_that_fails_is_listed_with_its_exception_and_its_profile(
    ruby: Ruby, valkey: EmbeddedValkey, fleet_name: str, tmp_path: Path
) -> None:
    settings = load(None, fleet=fleet_name, redis_url=valkey.url, state_dir=tmp_path, profile_token=TOKEN)
    desk, rounds = open_crash_desk(settings), 5

    async def listed(count: int) -> tuple[Crash, ...]:
        while True:
            crashes = (await asyncio.to_thread(desk.crashes, limit=100)).crashes
            if sum(bool(one.capture or one.reason) for one in crashes) >= count:
                return crashes
            await asyncio.sleep(0.05)

    with shop(ruby, tmp_path) as app, proxy(settings, tmp_path) as running:
        await running.serve(CrashApp(TOKEN, port=app.port))
        async with aiohttp.ClientSession() as session:
            for path in ["/fine", *EXPECTED] * rounds:
                with suppress(aiohttp.ClientError):
                    async with session.get(f"http://127.0.0.1:{running.port}{path}?secret=hunter2") as answer:
                        await answer.read()
        async with asyncio.timeout(30):
            crashes = await listed(rounds * len(EXPECTED))
        waiting = app.waiting()
    found = [
        (one.failure.path, (one.capture and one.capture.exception, one.failure.status, one.failure.failure))
        for one in crashes
    ]
    assert list(EXPECTED.items()) * rounds == found
    captures = [one.capture for one in crashes if one.capture]
    assert {True} == {one.profiled or one.unprofiled == "no samples" for one in captures}
    assert {"app.rb"} == {one.where.partition(":")[0] for one in captures}
    documents = [json.loads(desk.document(one.id) or b"{}") for one in captures]
    assert {"GET"} == {one["request"]["method"] for one in documents}
    assert "hunter2" not in repr(documents)
    assert [] == waiting
    desk.close()
