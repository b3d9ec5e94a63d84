"""`stoker` where libfaketime is: that fails the call behind Python's time.sleep, and lets select's time-outs be."""

from __future__ import annotations

import select
import time

from stoker.cli import main


def sleep(seconds: float, /) -> None:
    """Wait as time.sleep does."""
    select.select([], [], [], seconds)


if __name__ == "__main__":
    setattr(time, "sleep", sleep)  # noqa: B010  # nothing here sleeps; what is imported may
    main()
