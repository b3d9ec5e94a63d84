"""Small profiles, written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flamegraph.profile import Frame, Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARED = Path(__file__).parents[3] / "shared" / "profiles"


def shared(name: str) -> Path:
    """A recorded input that lies outside of the project; the test is skipped, by name, where it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"shared/profiles/{name} is absent")
    return path


def profile(*entries: tuple[str, int | float], frames: Sequence[Frame] = (), **facts: object) -> Profile:
    """A profile of entries such as `("main;work", 3)`; the files of frames are those of the given ones."""
    known = {frame.name: frame for frame in frames}
    table: dict[Frame, int] = {}
    stacks: dict[tuple[int, ...], int] = {}
    order = []
    for text, _ in entries:
        stack = [known.get(name, Frame(name)) for name in text.split(";")] if text else []
        key = tuple(table.setdefault(frame, len(table)) for frame in stack)
        order.append(stacks.setdefault(key, len(stacks)))
    weights = [weight for _, weight in entries]
    return Profile(list(table), list(stacks), order, weights, **facts)  # type: ignore[arg-type]
