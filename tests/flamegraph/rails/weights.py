"""Reads a document as a drawing does: each sample weighs the time until the next."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.flamegraph.rails.shop import Document

GC = "(garbage collection)"


def stacks(document: Document) -> list[list[str]]:
    """The names of each sample's frames, root first, in the order of time."""
    return list(_samples(document["profile"]))


def milliseconds(document: Document, leaf: str) -> float:
    """How long a frame was the top of the stack."""
    profile, request = document["profile"], document["request"]
    moments: list[int] = [*profile["raw_sample_timestamps"], request["stopped_at_us"]]
    spans = [end - start for start, end in pairwise(moments)]
    return sum(span for stack, span in zip(stacks(document), spans, strict=False) if stack[-1] == leaf) / 1000


def _samples(profile: dict[str, Any]) -> Iterator[list[str]]:
    raw, at = profile["raw"], 0
    while at < len(raw):
        end = at + 1 + raw[at]
        names = [profile["frames"][str(frame)]["name"] for frame in raw[at + 1 : end]]
        yield from [names] * raw[end]
        at = end + 1
