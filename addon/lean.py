"""Leaves those of mitmproxy's own addons out of the hook chain that have nothing to do with the options given.

mitmdump asks some thirty addons at every hook of every request, and once more after it; in a reverse proxy most of
them look at their option and return. Their commands and options stay. One whose option is set stays in the chain, or
comes back to its place in it when its option is set later.
"""

from __future__ import annotations

import gc
import logging
from typing import TYPE_CHECKING, Any

from mitmproxy import ctx, hooks, optmanager

from addon.dispatch import Dispatch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from mitmproxy.addonmanager import AddonManager, Loader

log = logging.getLogger(__name__)
# It says one line for each connection opened or closed, and each line goes through the hook chain once more.
chatter = logging.getLogger("mitmproxy.proxy.server")

# An addon acts while one of these options is true; never where there is none, because Stoker speaks HTTP alone.
ACTS_WITH: dict[str, tuple[str, ...]] = {
    "block": ("block_global", "block_private"),
    "stripdnshttpsrecords": (),
    "blocklist": ("block_list",),
    "anticache": ("anticache",),
    "anticomp": ("anticomp",),
    "clientplayback": ("client_replay",),
    "onboarding": ("onboarding",),
    "proxyauth": ("proxyauth",),
    "dnsresolver": (),
    "serverplayback": ("server_replay", "server_replay_kill_extra"),
    "mapremote": ("map_remote",),
    "maplocal": ("map_local",),
    "modifybody": ("modify_body",),
    "modifyheaders": ("modify_headers",),
    "stickyauth": ("stickyauth",),
    "stickycookie": ("stickycookie",),
    "save": ("save_stream_file",),
    "savehar": ("hardump",),
    "upstreamauth": ("upstream_auth",),
    "dumper": ("flow_detail",),
}


class Lean:
    """Sorts out in `running`, when each addon has had its own start."""

    def __init__(self) -> None:
        self._whole: list[Any] = []
        self._out: list[Any] = []
        self._dispatch: Dispatch | None = None

    def load(self, loader: Loader) -> None:
        """Tell mitmproxy of the option."""
        loader.add_option("stoker_lean", bool, True, "Leave addons out of the hooks that have nothing to do.")

    def configure(self, _updated: Iterable[str]) -> None:
        """Look again who has something to do."""
        if self._whole:
            self._sort_out()

    def running(self) -> None:
        """Begin; a reload of the script ends in the same state."""
        self._sort_out()

    def done(self) -> Awaitable[None] | None:
        """Put everything back; where mitmdump ends, those left out hear of it, too."""
        out, self._out = self._out, []
        if self._whole:
            ctx.master.addons.chain, self._whole = self._present(out), []
        self._hasten(on=False)
        return _tell_done(out) if ctx.master.should_exit.is_set() else None

    def _sort_out(self) -> None:
        manager: AddonManager = ctx.master.addons
        before, first = self._out, not self._whole
        self._whole = self._present(before)
        self._out = [addon for addon in self._whole if ctx.options.stoker_lean and _is_idle(addon)]
        manager.chain = [addon for addon in self._whole if addon not in self._out]
        if first or before != self._out:
            log.info("stoker: left out of the hooks: %s", ", ".join(map(_name, self._out)) or "nothing")
        self._hasten(on=ctx.options.stoker_lean)
        everything = set(ctx.options.keys())
        for addon in before:
            if addon not in self._out:
                manager.invoke_addon_sync(addon, hooks.ConfigureHook(everything))

    def _present(self, out: list[Any]) -> list[Any]:
        """The whole chain in its order, with what others have added to it and taken from it since."""
        manager: AddonManager = ctx.master.addons
        whole = [addon for addon in self._whole if addon in manager.chain or addon in out]
        whole += [addon for addon in manager.chain if addon not in whole]
        return [addon for addon in whole if manager.lookup.get(_name(addon)) is addon]

    def _hasten(self, *, on: bool) -> None:
        if on and self._dispatch is None:
            self._dispatch = Dispatch.install(ctx.master.addons)
            # What the start has built stays until the end; the collector need not look through it again and again.
            gc.freeze()
        elif self._dispatch is not None and not on:
            self._dispatch.uninstall()
            self._dispatch = None
        if self._dispatch is not None:
            self._dispatch.clear()
        asked = dict(ctx.options.items())["termlog_verbosity"].value
        chatter.setLevel(logging.WARNING if on and asked in (optmanager.unset, "error") else logging.NOTSET)


async def _tell_done(addons: list[Any]) -> None:
    for addon in addons:
        await ctx.master.addons.invoke_addon(addon, hooks.DoneHook())


def _name(addon: object) -> str:
    return str(getattr(addon, "name", type(addon).__name__.lower()))


def _is_idle(addon: object) -> bool:
    options = ACTS_WITH.get(_name(addon))
    if options is None or not type(addon).__module__.startswith("mitmproxy.addons."):
        return False
    return all(name in ctx.options and not getattr(ctx.options, name) for name in options)
