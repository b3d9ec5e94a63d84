"""What HAProxy's agent tells Prometheus, beside what every plane does: reloads, slots, workers, and crashes."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from fleet.exporter import exporting
from fleet.plane_metrics import PlaneMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import Metric

    from fleet.presence import Presence
    from fleet.settings import Settings
    from haproxy.agent import Agent


@contextmanager
def exported(settings: Settings, agent: Agent, presence: Presence, say: Callable[[str], None]) -> Iterator[None]:
    """Tell until the end of the block, where the settings name a port."""
    source = PlaneMetrics(presence, lambda: _own(agent))
    with exporting(settings, "haproxy", settings.metrics.haproxy_port, source, say):
        yield


def _own(agent: Agent) -> Iterator[Metric]:
    """Read in the scrape's thread; each value is one reference or one number."""
    reloads = CounterMetricFamily(
        "stoker_haproxy_reloads", "Reloads since the agent began; one may have several reasons.", labels=("reason",)
    )
    for reason, count in _by_kind(dict(agent.keeper.reloads)).items():
        reloads.add_metric((reason,), count)
    yield reloads
    yield CounterMetricFamily("stoker_haproxy_runtime_changes", "Changes without a reload.", agent.keeper.changes)
    slots = agent.keeper.slots
    taken = sum(slot.enabled for slot in slots)
    places = GaugeMetricFamily("stoker_haproxy_slots", "Server slots in the configuration.", labels=("state",))
    places.add_metric(("serving",), taken)
    places.add_metric(("other",), len(slots) - taken)
    yield places
    yield GaugeMetricFamily("stoker_haproxy_old_workers", "Replaced workers that still finish.", len(agent.workers.old))
    crashes = agent.crashes
    if crashes is not None:
        yield CounterMetricFamily("stoker_proxy_crashes", "Requests that failed at a backend.", crashes.heard)
        yield CounterMetricFamily("stoker_proxy_crashes_lost", "Crashes not written down.", crashes.journal.lost)


def _by_kind(reloads: Mapping[str, int]) -> Counter[str]:
    """Without the numbers and names in a reason, so that there are few."""
    kinds = Counter({"failed": 0, "section": 0, "slots": 0})
    for reason, count in reloads.items():
        kinds["failed" if reason == "failed" else "section" if reason.endswith(" changed") else "slots"] += count
    return kinds
