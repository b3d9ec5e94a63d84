"""The errors on which a caller acts differently; everything else is a built-in exception."""

from __future__ import annotations


class StoreUnavailableError(Exception):
    """Redis cannot be reached, or answers that it cannot do this now. The caller holds and tries again."""


class RefusedError(Exception):
    """The registry did not take a write, because the lease is not (or no longer) the writer's."""


class SettingsError(ValueError):
    """A setting is unknown, of the wrong type or against its rule; the message is one line with key, rule, value."""
