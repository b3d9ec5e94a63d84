"""The one error of the `stoker` command itself."""

from __future__ import annotations


class CommandError(Exception):
    """A command cannot do what was asked of it; the message is one line for the person who asked."""
