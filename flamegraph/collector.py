"""The garbage collector's frames, which stackprof puts into towers of their own beside the app's stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flamegraph.profile import Frame

NAMES: Final = frozenset({"(garbage collection)", "(marking)", "(sweeping)"})


def towers(frames: Sequence[Frame], stacks: Sequence[tuple[int, ...]]) -> set[int]:
    """The stacks that the garbage collector's frames begin."""
    roots = {index for index, frame in enumerate(frames) if frame.name in NAMES and not frame.file}
    return {index for index, stack in enumerate(stacks) if stack and stack[0] in roots}
