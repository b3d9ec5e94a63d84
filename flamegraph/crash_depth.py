"""Deep stacks made readable: what recursion repeats is left out, and said in a frame of its own.

stackprof keeps the 2,048 frames next to the leaf, so a deep stack has lost its root; the app cuts a deep backtrace in
its middle. Runaway recursion, the usual crash of that kind, is both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flamegraph.crash_path import same

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flamegraph.crash_document import Place
    from flamegraph.profile import Frame

# stackprof's buffer.
MOST_FRAMES: Final = 2048
# A stack up to this deep is drawn as it is.
DEEP: Final = 300
# Recursion through up to so many frames is found; so many rounds of it are kept on either side.
LONGEST_CYCLE: Final = 48
ROUNDS: Final = 2
LEFT_OUT: Final = -1
# So many frames tell where in a backtrace a stack without its root begins.
ENOUGH: Final = 12


def rootless(stack: Sequence[int], roots: set[int]) -> bool:
    """Whether stackprof has dropped the beginning of this stack; `roots` are the frames that begin shorter ones."""
    return len(stack) >= MOST_FRAMES and stack[0] not in roots


def missing_root(stack: Sequence[int], frames: Sequence[Frame], places: Sequence[Place]) -> int:
    """How many places of the backtrace come before the stack's first frame, or 0 where it is not found there."""
    head = [frames[index] for index in stack[:ENOUGH]]
    for at in range(len(places) - len(head) + 1):
        if all(same(place, frame) for place, frame in zip(places[at : at + len(head)], head, strict=True)):
            return at
    return 0


def shorten(stack: Sequence[int], deep: int = DEEP) -> tuple[int, ...]:
    """The stack with LEFT_OUT for each run of recursion; where it is still too deep, for its middle too."""
    if len(stack) <= deep:
        return tuple(stack)
    kept = _one_gap_each(_without_rounds(stack))
    if len(kept) > deep:
        kept = [*kept[: deep // 2], LEFT_OUT, *kept[-deep // 2 :]]
    return tuple(kept)


def _without_rounds(stack: Sequence[int]) -> list[int]:
    kept: list[int] = []
    at = 0
    while at < len(stack):
        size, rounds = _cycle(stack, at)
        if rounds > 2 * ROUNDS:
            end = at + size * rounds
            kept += [*stack[at : at + size * ROUNDS], LEFT_OUT, *stack[end - size * ROUNDS : end]]
            at = end
        else:
            kept.append(stack[at])
            at += 1
    return kept


def _cycle(stack: Sequence[int], at: int) -> tuple[int, int]:
    """The run of equal pieces that begins here: the size of one and how many there are."""
    for size in range(1, min(LONGEST_CYCLE, (len(stack) - at) // 2) + 1):
        if stack[at + size] != stack[at]:
            continue
        piece = stack[at : at + size]
        rounds = 1
        while stack[at + size * rounds : at + size * (rounds + 1)] == piece:
            rounds += 1
        if rounds > 2 * ROUNDS:
            return size, rounds
    return 1, 1


def _one_gap_each(stack: list[int]) -> list[int]:
    """The same where a backtrace was cut inside of recursion: the rounds on either side of the cut make one gap."""
    kept: list[int] = []
    rounds: list[int] = []
    for frame in stack:
        if frame != LEFT_OUT:
            rounds.append(frame)
            continue
        before = kept[-len(rounds) - 1 : -1] if kept else []
        if kept and kept[-1] == LEFT_OUT and set(rounds) <= set(before):
            rounds = []
            continue
        kept += [*rounds, LEFT_OUT]
        rounds = []
    return kept + rounds
