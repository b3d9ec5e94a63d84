"""The error on which the parts of this data plane act."""

from __future__ import annotations


class HaproxyError(Exception):
    """HAProxy cannot be found, asked, or made to take a configuration; one line that says which and why."""


class NotListeningError(HaproxyError):
    """Nobody listens at the socket: no HAProxy runs there."""
