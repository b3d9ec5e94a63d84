"""The inputs of the flame graph benchmarks: recorded dumps unpacked, and folded text from a seed."""

from __future__ import annotations

import gzip
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SEED = 4
NAMES = 4000
MEGABYTE = 1_000_000


def unpacked(profiles: Path, name: str, folder: Path) -> Path:
    """A recorded file, unpacked if it is gzipped."""
    source = profiles / "rails" / name
    if source.exists():
        return source
    target = folder / name
    if not target.exists():
        target.write_bytes(gzip.decompress(source.with_name(name + ".gz").read_bytes()))
    return target


def repeated_stacks(profiles: Path, folder: Path, megabytes: int = 60) -> Path:
    """The 2,182 different stacks of a recorded CPU profile, again and again."""
    target = folder / f"repeated-{megabytes}.folded"
    if not target.exists():
        text = unpacked(profiles, "big_cpu.oracle.folded", folder).read_bytes()
        size = megabytes * MEGABYTE
        whole = text * -(-size // len(text))
        target.write_bytes(whole[: whole.rindex(b"\n", 0, size) + 1])
    return target


def different_stacks(folder: Path, megabytes: int = 50) -> Path:
    """Stacks of 8 to 30 frames, no two alike: few roots, four callees of each frame near them, sixteen further down."""
    target = folder / f"different-{megabytes}.folded"
    if target.exists():
        return target
    chance = random.Random(SEED)
    names = [f"Shop{index % 37}::Part{index % 389}#step_{index}" for index in range(NAMES)]
    seen: set[tuple[int, ...]] = set()
    with target.open("w") as out:
        written = 0
        while written < megabytes * MEGABYTE:
            frame = chance.randrange(3)
            stack = [frame]
            for depth in range(chance.randint(7, 29)):
                frame = (frame * 31 + chance.randrange(4 if depth < 6 else 16) + 1) % NAMES
                stack.append(frame)
            key = tuple(stack)
            if key not in seen:
                seen.add(key)
                written += out.write(f"{';'.join(names[each] for each in stack)} {chance.randint(1, 9)}\n")
    return target
