"""Imports mitmproxy once with its dependencies' own warnings, which are not ours to mend, left out."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import mitmproxy.addons  # noqa: F401  # importing it is the point
