"""The command `stoker.status`: what this proxy knows and does, as one JSON object."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from mitmproxy import command

if TYPE_CHECKING:
    from addon.options import Configuration


class StatusCommand:
    """For other addons, and for people in front of mitmproxy's console."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    @command.command("stoker.status")  # type: ignore[untyped-decorator]
    def status(self) -> str:
        """This proxy's counters, and its backends with their addresses."""
        plane = self._configuration.plane
        shown = asdict(plane.reading())
        for upstream in plane.roster.upstreams:
            shown["backends"][upstream.name] |= {"url": upstream.url, "serving": upstream.serving}
        return json.dumps(shown)
