"""`stoker crashes`: what failed, as it was and as it goes on; one crash, or all of a time, as a flame graph."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleet.crash import Crash, Entry, Failure, counted, merged
from fleet.errors import StoreUnavailableError
from stoker.crash_lines import GIVEN_UP_S, crash_json, row, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fleet.crash import CrashDesk, Listing

FOLLOW_S = 0.2
# A proxy asks the app for so long, and a little; then the line goes out with what is known.
PATIENCE_S = 3.0


def print_crashes(listing: Listing, now: float, *, as_json: bool, quiet: bool = False) -> None:
    """Print them, oldest first; that there are none only where it is not `quiet`."""
    counts = counted(listing.crashes)
    if as_json:
        _write([json.dumps(crash_json(crash, counts[crash.group], now)) for crash in listing.crashes])
    elif listing.crashes:
        _write(rows(listing.crashes, counts, now))
    elif not quiet:
        sys.stderr.write("no crashes\n")


@dataclass(slots=True)
class _Open:
    """A crash of which more may come; `group` is the one under which it was told."""

    since: float
    entries: list[Entry]
    group: tuple[str, str] | None = None


class Following:
    """Crashes as they happen: each is told once, when all is known of it or after some patience.

    One that is captured later is told again, whole.
    """

    def __init__(self, past: Sequence[Crash], *, as_json: bool) -> None:
        self.as_json = as_json
        self.counts = counted(past)
        self.open = {
            crash.failure.id: _Open(crash.failure.at, [crash.failure], crash.group)
            for crash in past
            if crash.capture is None
        }

    def add(self, entry: Entry, now: float) -> None:
        """Take one entry of the log."""
        if isinstance(entry, Failure):
            self.open.setdefault(entry.id, _Open(now, [])).entries.append(entry)
        elif entry.id in self.open:
            self.open[entry.id].entries.append(entry)

    def lines(self, now: float) -> list[str]:
        """What can be told by now."""
        told = []
        for crash_id, each in tuple(self.open.items()):
            crash = merged(each.entries)[0]
            complete = crash.capture is not None
            if complete or (each.group is None and (crash.reason or now - each.since >= PATIENCE_S)):
                told.append(self._told(crash, each.group, now))
                each.group = crash.group
            if complete or now - each.since > GIVEN_UP_S:
                del self.open[crash_id]
        return told

    def _told(self, crash: Crash, before: tuple[str, str] | None, now: float) -> str:
        if before is not None:
            self.counts[before] -= 1
        like = self.counts[crash.group] = self.counts.get(crash.group, 0) + 1
        return json.dumps(crash_json(crash, like, now)) if self.as_json else row(crash, like, now)


def tell(
    desk: CrashDesk,
    following: Following,
    after: str,
    pause: Callable[[float], bool],
    now: Callable[[], float],
) -> None:
    """Print what comes, until `pause` says to end. An outage of the store is said once; it goes on when it is back."""
    lost = False
    while not pause(FOLLOW_S):
        try:
            new = desk.follow(after, wait_s=0)
        except StoreUnavailableError as error:
            if not lost:
                sys.stderr.write(f"stoker: {error}; waiting\n")
            lost = True
            new = ()
        else:
            lost = False
        present = now()
        for place, entry in new:
            after = place
            following.add(entry, present)
        _write(following.lines(present))
    _write(following.lines(now() + PATIENCE_S))


def _write(lines: Sequence[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
