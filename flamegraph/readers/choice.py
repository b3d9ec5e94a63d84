"""Which of several profiles in one file is meant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flamegraph.profile import ProfileError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flamegraph.profile import Profile


def choose(names: Sequence[str], read: Callable[[int], Profile], wish: str, default: int) -> Profile:
    """The profile that was wished for, by its number from 0, or all merged; the default says that there are more."""
    count = len(names)
    if not count:
        raise ProfileError("no profile in the file")
    if wish == "all":
        from flamegraph.merge import merge

        return merge([(f"profile {index} ({name})", read(index)) for index, name in enumerate(names)])
    if wish:
        if not wish.isdecimal() or int(wish) >= count:
            raise ProfileError(f"--profile is all or 0 to {count - 1}, was {wish!r}")
        return read(int(wish))
    profile = read(default if 0 <= default < count else 0)
    if count == 1:
        return profile
    listed = ", ".join(f"{index} {name}" for index, name in enumerate(names[:5])) + (", ..." if count > 5 else "")
    note = f"this is profile {default} of {count} ({listed}); --profile chooses another, or all"
    return replace(profile, warnings=[*profile.warnings, note])
