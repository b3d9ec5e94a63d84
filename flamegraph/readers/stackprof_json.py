"""Read the JSON that `stackprof --json`, rails-mini-profiler, app_profiler and test-prof write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flamegraph.profile import Profile, ProfileError
from flamegraph.readers import stackprof
from flamegraph.readers.json_text import loads

if TYPE_CHECKING:
    from flamegraph.readers.detect import ReadOptions

NAME: Final = "stackprof_json"


def detect(data: bytes) -> bool:
    """Whether the keys that every version writes are there."""
    return b'"frames"' in data and b'"mode"' in data


def read(data: bytes, options: ReadOptions) -> Profile:
    """Read one object of JSON."""
    table = loads(data)
    if not isinstance(table, dict):
        raise ProfileError("JSON, but not an object, which stackprof writes")
    return stackprof.from_table(table, ordered=options.ordered)
