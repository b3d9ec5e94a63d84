"""What `flamegraph.read` and `flamegraph.render` do, apart from them so that importing the package costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flamegraph.readers.detect import ReadOptions
from flamegraph.readers.detect import read as read_profile

if TYPE_CHECKING:
    import os

    from flamegraph.profile import Profile


def read(path_or_bytes: str | os.PathLike[str] | bytes, **options: Any) -> Profile:  # noqa: ANN401 ReadOptions checks
    """Read a profile; see `flamegraph.read`."""
    from flamegraph.files import read_bytes

    data = path_or_bytes if isinstance(path_or_bytes, bytes) else read_bytes(path_or_bytes)
    return read_profile(data, ReadOptions(**options))


def render(profile: Profile, **options: Any) -> str:  # noqa: ANN401 RenderOptions checks them
    """Draw a profile; see `flamegraph.render`."""
    from flamegraph.options import RenderOptions
    from flamegraph.svg import render as render_svg

    return render_svg(profile, RenderOptions(**options))
