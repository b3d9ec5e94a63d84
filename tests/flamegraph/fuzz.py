"""Fuzz every reader with atheris: `python -m tests.flamegraph.fuzz READER -max_total_time=600 CORPUS`.

READER is the name of a format, or `all` to have it guessed. Any error but ProfileError, with its one line, is a find.
A find is printed with its input; the Marshal walker is fuzzed by `stackprof`.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["flamegraph"]):
    import flamegraph
    from flamegraph.fold import fold
    from flamegraph.profile import ProfileError
    from flamegraph.readers import (
        crash,
        mini_profiler,
        rails_json,
        rails_log,
        speedscope,
        stackprof,
        stackprof_json,
        stackprof_timeline,
        vernier,
    )

READERS = (
    crash,
    mini_profiler,
    rails_json,
    rails_log,
    speedscope,
    stackprof,
    stackprof_json,
    stackprof_timeline,
    vernier,
)


def main() -> None:
    """Read and fold what the fuzzer makes up."""
    name = sys.argv.pop(1)
    options = {} if name == "all" else {"format": name}

    def once(data: bytes) -> None:
        try:
            found = flamegraph.read(data, **options)
        except ProfileError as error:
            if len(str(error).splitlines()) != 1:
                raise
            return
        for line in fold(found, time_order=True):
            line.encode()

    atheris.Setup(sys.argv, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
