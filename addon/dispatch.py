"""Which functions a hook calls, found once and remembered, where mitmproxy searches all addons at every event.

This replaces one method of mitmproxy's addon manager, `handle_lifecycle`, on the running instance. It does so only on
versions whose method it was written after; on any other mitmproxy's own stays.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from mitmproxy import exceptions, flow, hooks, version
from mitmproxy.addonmanager import safecall, traverse

if TYPE_CHECKING:
    from mitmproxy.addonmanager import AddonManager

log = logging.getLogger(__name__)

KNOWN = ("11.", "12.")
Call = Callable[..., Any]


class Dispatch:
    """The remembered functions of one addon manager."""

    def __init__(self, manager: AddonManager) -> None:
        self._manager = manager
        self._plans: dict[type[hooks.Hook], tuple[str, tuple[Call, ...]]] = {}

    @classmethod
    def install(cls, manager: AddonManager) -> Dispatch | None:
        """Take the method's place; None on a version that is not known."""
        if not version.VERSION.startswith(KNOWN):
            log.info("stoker: mitmproxy %s is not known, its own dispatch of hooks stays", version.VERSION)
            return None
        dispatch = cls(manager)
        # On the instance, so that deleting them brings the class's own back.
        vars(manager).update(
            handle_lifecycle=dispatch.handle_lifecycle, register=dispatch.register, remove=dispatch.remove
        )
        return dispatch

    def uninstall(self) -> None:
        """Give the method back."""
        for name in ("handle_lifecycle", "register", "remove"):
            vars(self._manager).pop(name, None)

    def clear(self) -> None:
        """Search again: the chain has changed."""
        self._plans.clear()

    def register(self, addon: Any) -> Any:  # noqa: ANN401  # mitmproxy's own signature
        """As mitmproxy does, and search again."""
        self.clear()
        return type(self._manager).register(self._manager, addon)

    def remove(self, addon: Any) -> None:  # noqa: ANN401  # mitmproxy's own signature
        """As mitmproxy does, and search again."""
        self.clear()
        type(self._manager).remove(self._manager, addon)

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        """Call the hook in all addons, in order, then `update` where the hook was about a flow."""
        plan = self._plans.get(type(event))
        if plan is None:
            plan = self._plan(event)
        name, calls = plan
        message = getattr(event, name)
        if calls:
            await _call_all(calls, message)
        if isinstance(message, flow.Flow):
            updates = self._plans.get(hooks.UpdateHook) or self._plan(hooks.UpdateHook([message]))
            if updates[1]:
                await _call_all(updates[1], [message])

    def _plan(self, event: hooks.Hook) -> tuple[str, tuple[Call, ...]]:
        addons = traverse(self._manager.chain)
        calls = tuple(call for addon in addons if callable(call := getattr(addon, event.name, None)))
        plan = self._plans[type(event)] = fields(event)[0].name, calls  # type: ignore[arg-type]
        return plan


async def _call_all(calls: tuple[Call, ...], message: object) -> None:
    for call in calls:
        try:
            result = call(message)
            if result is not None and inspect.isawaitable(result):
                await result
        except exceptions.AddonHalt:
            return
        except Exception:  # mitmproxy says what happened, and goes on, as without us
            with safecall():
                raise
