from __future__ import annotations

import json

from mitmproxy.test import taddons

from addon.options import Configuration
from addon.status import StatusCommand
from tests.addon.snapshots import snapshot


async def test_the_status_is_one_object_with_counters_and_backends() -> None:
    configuration = Configuration()
    configuration.plane.apply(snapshot(7, a1=8001))
    with taddons.context(StatusCommand(configuration)) as context:
        shown = json.loads(context.master.commands.call("stoker.status"))
    assert (shown["generation"], shown["arrivals"], shown["held"]) == (7, 0, 0)
    assert shown["backends"]["a1"]["url"] == "http://127.0.0.1:8001"
    assert shown["backends"]["a1"]["serving"] is True
