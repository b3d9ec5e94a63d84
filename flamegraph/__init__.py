"""Flame graphs from every profile that a Rails developer has: `read` one, then `render` it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    from flamegraph.profile import Profile

__all__ = ["read", "render"]


def read(path_or_bytes: str | os.PathLike[str] | bytes, **options: Any) -> Profile:  # noqa: ANN401 ReadOptions checks them
    """Read a profile from a file, or from its bytes, whatever its format is.

    `options` are the fields of `flamegraph.readers.detect.ReadOptions`. Raises ProfileError, whose text is one line,
    for what is not a sound profile, and OSError where the file cannot be read.
    """
    from flamegraph.library import read as read_input

    return read_input(path_or_bytes, **options)


def render(profile: Profile, **options: Any) -> str:  # noqa: ANN401 RenderOptions checks them
    """Draw a profile as one self-contained SVG; `options` are the fields of `flamegraph.options.RenderOptions`."""
    from flamegraph.library import render as render_profile

    return render_profile(profile, **options)
