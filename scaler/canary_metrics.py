"""What the scaler tells Prometheus of releases: how a canary stands while it is tried, and how trials and deploys end.

A canary's counters begin at 0 with each canary; its series end with it.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from scaler.canary import standing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from fleet.registry import CanaryStanding, Happening, SetStanding
    from fleet.release import Releases
    from scaler.turn import Turn

# How each ends, as its events name it.
ENDINGS = {"canary": ("promoted", "cut"), "deploy": ("done", "failed", "refused", "undone")}


class CanaryState(StrEnum):
    """How far a canary is: `SERVING` is judged by its errors, `WARM` by its times too."""

    NONE = "none"
    RESOLVING = "resolving"
    STARTING = "starting"
    SERVING = "serving"
    WARM = "warm"


class Endings:
    """Counts how canaries and deploys ended."""

    def __init__(self) -> None:
        self._seen = Counter({(kind, outcome): 0 for kind, outcomes in ENDINGS.items() for outcome in outcomes})

    def hear(self, happening: Happening) -> None:
        """Take in an event of any kind."""
        if happening.after in ENDINGS.get(happening.kind, ()):
            self._seen[happening.kind, happening.after] += 1

    def collect(self) -> Iterator[Metric]:
        """Both counters."""
        canaries = CounterMetricFamily("stoker_canaries", "Canaries that ended, by outcome.", labels=("outcome",))
        deploys = CounterMetricFamily("stoker_deploys", "Deploys that ended, by outcome.", labels=("outcome",))
        for (kind, outcome), count in self._seen.items():
            (canaries if kind == "canary" else deploys).add_metric((outcome,), count)
        yield from (canaries, deploys)


def collect_canary(turn: Turn) -> Iterator[Metric]:
    """What a scaler that acts tells of the canary that is tried now."""
    found = standing(turn)
    states = GaugeMetricFamily("stoker_canary_state", "1 for the state that holds.", labels=("state",))
    holds = _state(turn.releases, found)
    for name in CanaryState:
        states.add_metric((name,), name is holds)
    yield states
    if found is not None:
        yield from _standing(found)


def _state(releases: Releases, found: CanaryStanding | None) -> CanaryState:
    if found is None:
        asked = releases.asked
        return CanaryState.RESOLVING if asked is not None and asked.share is not None else CanaryState.NONE
    if not found.serving:
        return CanaryState.STARTING
    return CanaryState.WARM if found.warm else CanaryState.SERVING


def _standing(found: CanaryStanding) -> Iterator[Metric]:
    yield _gauge("stoker_canary_share_ratio", "Of the traffic, as the weights give it now.", found.share / 100)
    yield _gauge("stoker_canary_share_ordered_ratio", "Of the traffic, as it was ordered.", found.wanted / 100)
    yield _gauge("stoker_canary_instances_serving", "How many of it serve.", found.serving)
    yield CounterMetricFamily("stoker_canary_instances_failed", "Instances of it that failed.", found.deaths)
    requests = CounterMetricFamily("stoker_canary_requests", "Requests that ended.", labels=("set",))
    errors = CounterMetricFamily("stoker_canary_errors", "5xx and broken answers.", labels=("set",))
    means = GaugeMetricFamily("stoker_canary_request_mean_seconds", "Mean time of a request.", labels=("set",))
    sets: tuple[tuple[str, SetStanding], ...] = (("canary", found.canary), ("stable", found.stable))
    for name, seen in sets:
        requests.add_metric((name,), seen.finished)
        errors.add_metric((name,), seen.errors)
        means.add_metric((name,), seen.mean_ms / 1000)
    evidence = GaugeMetricFamily("stoker_canary_evidence_ratio", "At 1 it is cut off.", labels=("test",))
    evidence.add_metric(("errors",), found.errors)
    evidence.add_metric(("times",), found.times)
    yield from (requests, errors, means, evidence)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, float(value))
