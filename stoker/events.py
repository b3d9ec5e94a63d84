"""`stoker events`: the fleet's history, as it was and as it goes on."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from fleet.errors import StoreUnavailableError
from stoker.lines import happening_json, happening_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.registry import Desk, Happening

FOLLOW_S = 0.2


def print_events(desk: Desk, *, as_json: bool, follow: bool, last: int, pause: Callable[[float], bool]) -> None:
    """Print the last of the past, then what comes, until `pause` says to end.

    Raises StoreUnavailableError, except while it follows: then it says so once and goes on when the store is back.
    """
    past = desk.history("", wait_s=0)
    for _, happening in past[len(past) - last :] if last < len(past) else past:
        _write(happening, as_json=as_json)
    seen, lost = past[-1][0] if past else "", False
    while follow and not pause(FOLLOW_S):
        try:
            new = desk.history(seen, wait_s=0)
        except StoreUnavailableError as error:
            if not lost:
                sys.stderr.write(f"stoker: {error}; waiting\n")
            lost = True
            continue
        lost = False
        seen = new[-1][0] if new else seen
        for _, happening in new:
            _write(happening, as_json=as_json)


def _write(happening: Happening, *, as_json: bool) -> None:
    line = json.dumps(happening_json(happening)) if as_json else happening_line(happening)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
