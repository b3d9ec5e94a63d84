"""Which requests may fail: those in flight on what was killed, or refused by a proxy while it was down.

And those written to a pooled connection within 100 ms of a kill. Every other failure is a loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.chaos.live.faults import Faults
    from tests.chaos.live.load import Sent
    from tests.chaos.live.records import Record
    from tests.chaos.live.stage import Stage

POOLED_S = 0.1
# Between what a request's record says and when it really happened, in processes that share a busy machine.
SLACK_S = 0.05


class Accounts:
    """Says of a failed request why it may fail."""

    def __init__(self, stage: Stage, faults: Faults, records: dict[str, Record]) -> None:
        self._stage = stage
        self._kills = faults.kills
        self._on = {number: name for name, record in records.items() for number in record.begun}
        self._records = records

    def why(self, one: Sent) -> str | None:
        """One of the three reasons, or None for a loss."""
        on = self._on.get(one.number)
        killed = self._kills.get(on or "")
        if killed is not None and one.sent_at <= killed <= one.ended_at + SLACK_S:
            return "in flight on an instance that was killed"
        for down, up in self._downs(one.proxy):
            if one.sent_at <= down <= one.ended_at + SLACK_S and one.written:
                return "in flight on a proxy that was killed"
            if down - SLACK_S <= one.sent_at <= up and one.status in {0, 503}:
                return "refused by a proxy that was down"
        near = any(one.sent_at - POOLED_S <= killed <= one.ended_at + SLACK_S for killed in self._kills.values())
        if on is None and near:
            return "written to a pooled connection within 100 ms of a kill"
        return None

    def told(self, one: Sent) -> str:
        """What is known of it beside its own record."""
        on = self._on.get(one.number)
        if on is None:
            return "no instance saw it"
        begin, end = self._records[on].begun[one.number]
        after = "never ended" if end is None else f"ended after {end - begin:.2f} s"
        return f"{on} began it {begin - one.sent_at:.2f} s after it was sent, {after}"

    def _downs(self, proxy: str) -> list[tuple[float, float]]:
        """When its front was killed or told to end, and when it listened again."""
        part = self._stage.plane(proxy).front
        return [(down, min((up for up in part.ups if up > down), default=1e18)) for down in part.downs]
