"""A canary's share in HAProxy, without a reload: rows of a map that is empty while there is no canary.

A request draws a number below `DRAWN`; where the map has a row of that number it goes to the slot that stands there.
The canary's own slots weigh nothing, so that all other requests are balanced among the stable set, in either way.
A sticky canary has rows for the cookie's values, too.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from fleet.canary_cookie import mark_of, value_of
from haproxy.commands import WORST_SEVERITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haproxy.model import Slot, Target

DRAWN = 1000
SAID = re.compile(r"\[([0-7])\]: ?(.*)", re.DOTALL)


def weighed(targets: Sequence[Target]) -> tuple[Target, ...]:
    """The targets with the weights that HAProxy gets: a canary's 0, unless there are canaries alone."""
    if all(target.canary for target in targets):
        return tuple(targets)
    return tuple(replace(target, weight=0) if target.canary else target for target in targets)


def rows(targets: Sequence[Target], slots: Sequence[Slot]) -> dict[str, str]:
    """The map for these targets on their slots; empty without a canary or without a stable set beside it."""
    held = {slot.holder: slot.name for slot in slots if slot.enabled and slot.holder}
    canaries = [target for target in targets if target.canary and target.name in held]
    ours = sum(target.weight for target in canaries)
    theirs = sum(target.weight for target in targets if not target.canary)
    if not ours or not theirs:
        return {}
    count = max(1, round(DRAWN * ours / (ours + theirs)))
    found = {str(number): held[canaries[number % len(canaries)].name] for number in range(count)}
    sticky = next((target.spec for target in canaries if target.sticky), None)
    return found if sticky is None else found | _sticky_rows(mark_of(sticky), count)


def _sticky_rows(mark: str, count: int) -> dict[str, str]:
    sides = {value_of(mark, canary=canary): "canary" if canary else "stable" for canary in (True, False)}
    return {"rows": str(count), "sticky": mark, **sides}


def map_text(found: Mapping[str, str]) -> str:
    """The rows as HAProxy reads them."""
    return "".join(f"{key} {value}\n" for key, value in found.items())


def map_commands(path: str, found: Mapping[str, str]) -> list[str]:
    """What fills the map anew. In the moment between the two all requests go to the stable set."""
    filled = [f"add map {path} <<\n{map_text(found)}"] if found else []
    return [f"clear map {path}", *filled]


def map_faults(answers: Sequence[str]) -> list[str]:
    """What the answers say against it; after each row HAProxy writes a plus, and after the last one what is wrong."""
    return [
        found[2].strip() for answer in answers if (found := SAID.search(answer)) and int(found[1]) <= WORST_SEVERITY
    ]
