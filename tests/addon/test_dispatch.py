from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mitmproxy import exceptions, flow, http, version
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook
from mitmproxy.test import taddons, tflow

from addon.dispatch import Dispatch

if TYPE_CHECKING:
    import pytest


class Heard:
    """Writes down which hooks it was called for."""

    def __init__(self, name: str, said: list[str], error: Exception | None = None) -> None:
        self.name = name
        self.said = said
        self.error = error
        self.addons: list[Any] = []

    async def request(self, _: http.HTTPFlow) -> None:
        self.said.append(self.name)
        if self.error is not None:
            raise self.error

    def update(self, flows: list[flow.Flow]) -> None:
        self.said.append(f"{self.name} updated {len(flows)}")


async def hooked(*addons: Heard) -> tuple[list[str], list[str]]:
    """What is said with mitmproxy's own dispatch, and with ours."""
    heard = []
    for ours in (False, True):
        with taddons.context(*addons, loadcore=False) as context:
            addons[0].said.clear()
            dispatch = Dispatch.install(context.master.addons) if ours else None
            await context.master.addons.handle_lifecycle(HttpRequestHook(tflow.tflow()))
            heard.append(list(addons[0].said))
            if dispatch is not None:
                dispatch.uninstall()
    return heard[0], heard[1]


async def test_all_are_called_in_order_children_too() -> None:
    said: list[str] = []
    parent, other = Heard("parent", said), Heard("other", said)
    parent.addons.append(Heard("child", said))
    theirs, ours = await hooked(parent, other)
    assert ours == ["parent", "child", "other", "parent updated 1", "child updated 1", "other updated 1"]
    assert theirs == ours


async def test_an_addon_may_halt_the_rest() -> None:
    said: list[str] = []
    theirs, ours = await hooked(Heard("first", said, exceptions.AddonHalt()), Heard("second", said))
    assert ours == ["first", "first updated 1", "second updated 1"]
    assert theirs == ours


async def test_a_broken_addon_is_said_and_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    said: list[str] = []
    theirs, ours = await hooked(Heard("first", said, ValueError("oops")), Heard("second", said))
    assert ours == ["first", "second", "first updated 1", "second updated 1"]
    assert theirs == ours
    assert ["Addon error: oops"] * 2 == [record.getMessage() for record in caplog.records if "oops" in record.message]


async def test_an_addon_that_comes_or_goes_is_noticed() -> None:
    said: list[str] = []
    with taddons.context(Heard("first", said), loadcore=False) as context:
        manager = context.master.addons
        Dispatch.install(manager)
        await manager.handle_lifecycle(HttpRequestHook(tflow.tflow()))
        second = Heard("second", said)
        manager.add(second)
        await manager.handle_lifecycle(HttpRequestHook(tflow.tflow()))
        manager.remove(second)
        said.clear()
        await manager.handle_lifecycle(HttpRequestHook(tflow.tflow()))
    assert said == ["first", "first updated 1"]


async def test_an_unknown_mitmproxy_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "VERSION", "99.0")
    with taddons.context(loadcore=False) as context:
        assert Dispatch.install(context.master.addons) is None
        assert "handle_lifecycle" not in vars(context.master.addons)
