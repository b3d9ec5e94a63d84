"""What is known now, for viewers who come later: the present, ten minutes of the chart, the newest of the history."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from stoker.web.verdict import unreachable
from stoker.web.view import View, changed, sample

if TYPE_CHECKING:
    from collections.abc import Sequence


SAMPLE_S = 1.0
SAMPLES_KEPT = 600
EVENTS_KEPT = 400
CRASHES_KEPT = 100


@dataclass(slots=True)
class Board:
    """The page's whole content. Each method returns what is new by it, to be told to the viewers."""

    frame: dict[str, Any]
    present: View = field(default_factory=dict)
    trouble: str = ""
    samples: deque[list[Any]] = field(default_factory=lambda: deque(maxlen=SAMPLES_KEPT))
    events: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    crashes: list[dict[str, Any]] = field(default_factory=list)
    now: float = 0.0

    def whole(self) -> dict[str, Any]:
        """Everything."""
        return {
            **self.frame,
            "now": self.now,
            "trouble": self.trouble,
            **self.present,
            "samples": list(self.samples),
            "events": list(self.events),
            "crashes": self.crashes,
        }

    def seen(self, now: float, present: View) -> dict[str, Any]:
        """A look at the store; empty where nothing changed and no point of the chart is due."""
        news = changed(self.present, present)
        if self.trouble:
            news["trouble"], self.trouble = "", ""
        self.present = present
        return self._timed(now, news, sample(now, present["numbers"]))

    def lost(self, now: float, trouble: str) -> dict[str, Any]:
        """A look at the store that failed; what was known stays."""
        news: dict[str, Any] = {}
        if trouble != self.trouble:
            self.trouble = trouble
            self.present = {**self.present, "verdict": asdict(unreachable(trouble))}
            news = {"trouble": trouble, "verdict": self.present["verdict"]}
        return self._timed(now, news, sample(now, {}))

    def happened(self, events: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """New lines of the history; of a long past only the newest are told."""
        self.events.extend(events)
        return {"events": list(events)[-EVENTS_KEPT:]}

    def crashed(self, crashes: list[dict[str, Any]]) -> dict[str, Any]:
        """The newest crashes, newest first."""
        if crashes == self.crashes:
            return {}
        self.crashes = crashes
        return {"crashes": crashes}

    def _timed(self, now: float, news: dict[str, Any], point: list[Any]) -> dict[str, Any]:
        self.now = now
        if not self.samples or now - self.samples[-1][0] >= SAMPLE_S - 0.05:
            self.samples.append(point)
            news["sample"] = point
        return {"now": round(now, 2), **news} if news else news
