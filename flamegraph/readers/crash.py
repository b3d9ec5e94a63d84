"""Read the document that the Rack middleware leaves of a request that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flamegraph.crash import profile_of
from flamegraph.crash_document import parse
from flamegraph.readers.json_text import loads

if TYPE_CHECKING:
    from flamegraph.profile import Profile
    from flamegraph.readers.detect import ReadOptions

NAME: Final = "crash"
MARK: Final = b'"stoker_crash"'


def detect(data: bytes) -> bool:
    """Whether the key that says so is near the beginning; the middleware writes it first."""
    return MARK in data[:4096]


def read(data: bytes, _: ReadOptions) -> Profile:
    """Read one document."""
    return profile_of(parse(loads(data)))
