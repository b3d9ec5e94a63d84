from __future__ import annotations

import asyncio
import json
from typing import Any

from stoker.web.hub import MOST_PENDING, Hub, encode


async def test_a_viewer_begins_with_everything_and_then_takes_changes_together() -> None:
    hub = Hub(lambda: {"n": 1})
    viewer = hub.join()
    assert encode("whole", {"n": 1}) == await viewer.take()
    hub.tell({"n": 2})
    hub.tell({"n": 3})
    assert encode("change", {"n": 2}) + encode("change", {"n": 3}) == await viewer.take()


async def test_a_viewer_who_takes_nothing_is_later_given_everything_anew() -> None:
    hub = Hub(lambda: {"n": "now"})
    viewer = hub.join()
    await viewer.take()
    for number in range(MOST_PENDING + 5):
        hub.tell({"n": number})
    assert encode("whole", {"n": "now"}) == await viewer.take()
    hub.tell({"n": "next"})
    assert encode("change", {"n": "next"}) == await viewer.take()


async def test_everything_is_encoded_once_for_all_who_come_before_the_next_change() -> None:
    made: list[int] = []

    def content() -> dict[str, Any]:
        made.append(1)
        return {}

    hub = Hub(content)
    viewers = [hub.join() for _ in range(3)]
    for viewer in viewers:
        await viewer.take()
    assert 1 == len(made)
    hub.tell({"n": 1})
    await hub.join().take()
    assert 2 == len(made)


async def test_closing_ends_those_who_wait() -> None:
    hub = Hub()
    viewer = hub.join()
    await viewer.take()
    waiting = asyncio.ensure_future(viewer.take())
    await asyncio.sleep(0)
    hub.close()
    assert await waiting is None


def test_no_text_can_end_a_message_early() -> None:
    encoded = encode("change", {"name": "a\n\nevent: whole\ndata: {}\n\n\r\u2028"})
    assert 2 == encoded.decode().rstrip("\n").count("\n") + 1
    assert {"name": "a\n\nevent: whole\ndata: {}\n\n\r\u2028"} == json.loads(encoded.split(b"data: ", 1)[1])


def test_what_is_no_unicode_is_shown_as_such() -> None:
    assert b'{"name":"?"}' in encode("change", {"name": "\udcff"})
