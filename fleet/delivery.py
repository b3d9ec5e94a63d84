"""Who delivers messages about the fleet, and how far they got; one at a time, so that none is sent twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fleet.registry import entry_order

# A holder that does not come back for so long has lost the right to deliver; longer than a message may take.
HOLD_TTL_S = 20.0


@dataclass(frozen=True, slots=True)
class Place:
    """Everything up to these entries of the two streams is settled; "" where nobody knows."""

    events: str = ""
    crashes: str = ""

    def later(self, other: Place) -> Place:
        """The later of both, stream by stream."""
        return Place(max(self.events, other.events, key=entry_order), max(self.crashes, other.crashes, key=entry_order))


class Delivery(Protocol):
    """Every method raises StoreUnavailableError when the store cannot be reached."""

    def hold(self, owner: str) -> Place | None:
        """Take or prolong the right to deliver; None while another has it, else how far was delivered."""

    def settle(self, owner: str, place: Place) -> bool:
        """Write down how far was delivered; False where the right was lost."""

    def release(self, owner: str) -> None:
        """Give the right back, so that another need not wait for its end."""

    def newest(self) -> Place:
        """Where the streams end now."""
