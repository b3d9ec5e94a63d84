"""The history as a reader follows it, also where the server lost its newest lines and its clock went back."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import redis

from fleet.errors import StoreUnavailableError
from fleet.registry import entry_order
from fleet.store.connection import wrong_type
from fleet.store.fields import EVENTS_KEPT, read_happening, text, to_milliseconds
from fleet.store.keys import Keys

if TYPE_CHECKING:
    from fleet.registry import Happening

    Entries = tuple[tuple[str, Happening], ...]

# A blocking read is cut into pieces that end before the socket's own timeout.
PIECE_S = 0.5
KNOWN = EVENTS_KEPT * 6 // 5


@dataclass(slots=True)
class HistoryReader:
    """For one reader: what it was told of is known, so that what is new can be told where ids begin again."""

    client: redis.Redis
    shown: str
    keys: Keys
    _begun: bool = False
    _told: dict[str, int] = field(default_factory=dict)

    def after(self, after: str, wait_s: float) -> Entries:
        """What comes after that id, oldest first; waits up to `wait_s` for the first of it.

        Where ids begin again before `after`, that is what comes after the last line that was told and is still there;
        who reads on goes by its ids.
        """
        if after and not self._begun:
            self._tell(self._whole(after))  # who reads on from there has read these
        self._begun = True
        for _ in range(max(1, math.ceil(wait_s / PIECE_S))):
            found = self._next(after or "0-0", min(wait_s, PIECE_S))
            if found:
                return found
        return ()

    def _next(self, after: str, wait_s: float) -> Entries:
        # BLOCK 0 would wait for ever.
        block = ("BLOCK", max(1, int(wait_s * 1000))) if wait_s > 0 else ()
        pipeline = self.client.pipeline(transaction=False)
        pipeline.execute_command("XREAD", *block, "STREAMS", self.keys.events, after)
        pipeline.execute_command("XREVRANGE", self.keys.events, "+", "-", "COUNT", 1)
        pipeline.execute_command("TIME")
        reply, newest, time = pipeline.execute(raise_on_error=False)
        if any(map(wrong_type, (reply, newest, time))):
            raise StoreUnavailableError(
                f"Redis at {self.shown}: {self.keys.events} must be a stream, is something else"
            )
        streams = reply.items() if isinstance(reply, dict) else reply or ()
        found = _entries([entry for _, entries in streams for entry in entries])
        if not found and self._begins_again(after, _entries(newest), (to_milliseconds(time),)):
            whole = self._whole("+")
            told = [at for at, entry in enumerate(whole) if self._is_told(*entry)]
            found = whole[told[-1] + 1 :] if told else whole
        self._tell(found)
        return found

    def _begins_again(self, after: str, newest: Entries, now: tuple[int, ...]) -> bool:
        """Whether the newest line is new though its id is not: the clock is behind, or others around it were told.

        What is new in a copy of old data alone comes before all that was told.
        """
        if not newest or entry_order(newest[0][0]) >= entry_order(after) or self._is_told(*newest[0]):
            return False
        return entry_order(after) > now or entry_order(newest[0][0]) > min(map(entry_order, self._told), default=now)

    def _whole(self, last: str) -> Entries:
        pipeline = self.client.pipeline(transaction=False)
        pipeline.execute_command("XREVRANGE", self.keys.events, last, "-")
        [reply] = pipeline.execute(raise_on_error=False)
        return () if wrong_type(reply) else _entries(reply)[::-1]

    def _tell(self, found: Entries) -> None:
        self._told.update((entry_id, hash(one)) for entry_id, one in found)
        if len(self._told) > KNOWN:
            self._told = dict([*self._told.items()][-KNOWN:])

    def _is_told(self, entry_id: str, happening: Happening) -> bool:
        return self._told.get(entry_id) == hash(happening)


def _entries(reply: Any) -> Entries:  # noqa: ANN401  # a reply as the client parses it
    return tuple((text(entry_id), read_happening(entry_id, one)) for entry_id, one in reply)
