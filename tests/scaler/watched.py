"""A machine whose steps are told to metrics, and what a scrape of those says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.exposition import exposition
from scaler.driver import untraced
from scaler.messages import Effect, Event
from scaler.metrics import Metrics
from tests.fleet.test_exposition import read
from tests.scaler.builders import EPOCH_S, Machine

if TYPE_CHECKING:
    from scaler.turn import Step


@dataclass
class Silent:
    """A world in which nothing happens but the events it was given; each takes `lasts_s` to work through."""

    events: list[Event] = field(default_factory=list)
    now: float = EPOCH_S
    lasts_s: float = 0.0
    performed: list[Effect] = field(default_factory=list)

    def next_event(self) -> Event | None:
        event = self.events.pop(0) if self.events else None
        self.now += self.lasts_s
        return event

    def perform(self, effect: Effect) -> None:
        self.performed.append(effect)


@dataclass
class Watched(Machine):
    """A machine whose steps are told to metrics, too."""

    metrics: Metrics = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.policy, lambda: self.now, Silent(), untraced)

    def take(self, event: Event) -> Step:
        taken = super().take(event)
        self.metrics(event, taken)
        return taken

    def value(self, name: str, **labels: str) -> float | None:
        """The one sample of that name with exactly these labels; None where there is none."""
        found = [value for own, value in read(exposition(self.metrics.collect(), {})).get(name, []) if own == labels]
        assert len(found) <= 1
        return found[0] if found else None
