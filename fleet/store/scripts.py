"""The Lua scripts, each with what all of them share before it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def source(name: str) -> str:
    """The full text of one script, ready to be sent to a server."""
    folder = files("fleet.store")
    return (folder / "common.lua").read_text("utf-8") + (folder / f"{name}.lua").read_text("utf-8")
