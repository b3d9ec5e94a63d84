"""The model that every reader fills and every drawing starts from: frames, stacks, and what was seen when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flamegraph.readers.text import one_line


class ProfileError(ValueError):
    """An input that cannot be read or drawn; its text is the one line that its giver sees, whatever it quotes."""

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


@dataclass(frozen=True, slots=True)
class Frame:
    """One place in the code. `file` is "" and `line` 0 where the input does not say; `line` is the method's first."""

    name: str
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class FrameTotals:
    """What an aggregated dump says of one frame: samples on top, samples anywhere, and calls by callee."""

    self_samples: int
    total_samples: int
    callees: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Raised:
    """What a crash adds: the stack that led to its exception, as indices into `frames`, which weighs nothing.

    `lines` are those that its frames were executing. `said` is what the picture tells of the crash, line by line.
    """

    stack: tuple[int, ...] = ()
    lines: Mapping[int, int] = field(default_factory=dict)
    said: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    r"""What was seen: `order[i]` names the stack of the i-th entry and `weights[i]` what it weighs.

    `stacks` holds each different stack once, root first, as indices into `frames`. Entries keep the order of the
    input, which is the order of time where the format has one. `starts_us[i]` is when entry i began, in
    microseconds from the first one, never falling, or `starts_us` is None where the input has no times; `restart` is
    the entry before which recording may have begun anew. `weights_after` is the second count of differential folded
    text. `samples` is how many there were where `weights` are times. An aggregated dump has no stacks, only `totals`,
    one for each frame. `raised` is there where the profile is a crash's. Names and files are always sound Unicode: a
    byte that was not is written `\xff`.
    """

    frames: Sequence[Frame]
    stacks: Sequence[tuple[int, ...]]
    order: Sequence[int]
    weights: Sequence[int] | Sequence[float]
    unit: str = "samples"
    title: str = ""
    mode: str = ""
    interval: int | None = None
    missed: int | None = None
    starts_us: Sequence[int] | None = None
    stopped_us: int | None = None
    warnings: Sequence[str] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    source: str = ""
    note: str = ""
    gc_samples: int | None = None
    weights_after: Sequence[int] | Sequence[float] | None = None
    samples: int | None = None
    totals: Sequence[FrameTotals] = ()
    restart: int | None = None
    raised: Raised | None = None
