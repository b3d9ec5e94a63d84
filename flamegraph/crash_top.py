"""Makes one profile of many crashes: each is one sample, the backtrace of its exception with the exception on top."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flamegraph.crash_depth import LEFT_OUT, shorten
from flamegraph.crash_document import CrashDocument, parse
from flamegraph.crash_raised import GAP, named, with_gap
from flamegraph.profile import Frame, Profile, ProfileError
from flamegraph.readers.json_text import loads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flamegraph.crash_document import Fault

MORE = Frame("… frames left out")


def top(texts: Iterable[bytes], title: str) -> Profile:
    """What fails most, from the JSON of crash documents; a warning says how many have no backtrace."""
    frames: dict[Frame, int] = {}
    stacks: dict[tuple[int, ...], int] = {}
    order: list[int] = []
    bare = 0
    for document in _read(texts):
        if document is None or document.fault is None:
            bare += 1
            continue
        stack = tuple([frames.setdefault(frame, len(frames)) for frame in _stack(document.fault)])
        order.append(stacks.setdefault(stack, len(stacks)))
    return Profile(
        frames=list(frames),
        stacks=list(stacks),
        order=order,
        weights=[1] * len(order),
        unit="crashes",
        title=title,
        source="crash",
        note="one sample is one crash: the backtrace of its exception, with the exception on top",
        warnings=[f"{bare:,} more have no backtrace: they are not drawn"] if bare else [],
    )


def _read(texts: Iterable[bytes]) -> Iterator[CrashDocument | None]:
    for text in texts:
        try:
            yield parse(loads(text))
        except ProfileError:
            yield None


def _stack(fault: Fault) -> list[Frame]:
    """The frames from the root; of a deep one without what recursion repeats, so that its depth tells none apart."""
    places = with_gap(fault)
    index = {place: number for number, place in enumerate(dict.fromkeys(places))}
    different = list(index)
    kept = shorten([LEFT_OUT if place is GAP else index[place] for place in places])
    found = [MORE if number == LEFT_OUT else named(different[number].frame) for number in kept]
    return [*found, Frame(fault.name)]
