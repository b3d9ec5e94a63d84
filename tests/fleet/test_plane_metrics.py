"""What every data plane tells, over a presence by hand."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, cast

from addon.plane import Plane
from fleet.exporter import Health
from fleet.exposition import exposition
from fleet.plane_metrics import PlaneMetrics
from fleet.presence import Presence
from fleet.registry import BackendCounters, ProxyReading
from fleet.settings import load
from fleet.snapshot_file import SnapshotFile
from tests.addon.snapshots import snapshot
from tests.fleet.test_exposition import read

if TYPE_CHECKING:
    from pathlib import Path

    from fleet.registry import Noticeboard


def presence(tmp_path: Path) -> Presence:
    """One that has not begun."""
    plane = Plane(load(None), "p")
    file = SnapshotFile(tmp_path / "p.json", "stoker", "production", ())
    return Presence(plane, cast("Noticeboard", None), file, print)


def told(metrics: PlaneMetrics) -> dict[str, list[tuple[dict[str, str], float]]]:
    return read(exposition(metrics.collect(), {}))


READING = ProxyReading(
    "p",
    "s",
    1000,
    7,
    arrivals=10,
    completions=8,
    refused=3,
    errors_4xx=2,
    errors_5xx=1,
    in_flight=1,
    held=1,
    backends={"web1": BackendCounters(arrivals=9, errors=1, refused=3, in_flight=1, busy_ms=1500)},
)


def test_counters_and_gauges_are_those_of_the_last_report(tmp_path: Path) -> None:
    one = presence(tmp_path)
    one.reading = READING
    samples = told(PlaneMetrics(one))
    web1 = {"backend": "web1"}
    assert {
        "stoker_proxy_requests_total": [({}, 10.0)],
        "stoker_proxy_responses_total": [({"class": "4xx"}, 2.0), ({"class": "5xx"}, 1.0), ({"class": "other"}, 5.0)],
        "stoker_proxy_connections_refused_total": [({}, 3.0)],
        "stoker_proxy_in_flight_requests": [({}, 1.0)],
        "stoker_proxy_held_requests": [({}, 1.0)],
        "stoker_proxy_backend_requests_total": [(web1, 9.0)],
        "stoker_proxy_backend_errors_total": [(web1, 1.0)],
        "stoker_proxy_backend_request_seconds_total": [(web1, 1.5)],
        "stoker_proxy_backend_in_flight_requests": [(web1, 1.0)],
        "stoker_proxy_counting": [({}, 1.0)],
        "stoker_proxy_generation": [({}, 0.0)],
        "stoker_store_reachable": [({}, 0.0)],
    } == {name: found for name, found in samples.items() if name != "stoker_proxy_snapshot_age_seconds"}


def test_a_plane_that_cannot_count_tells_no_counters(tmp_path: Path) -> None:
    samples = told(PlaneMetrics(presence(tmp_path)))
    assert samples["stoker_proxy_counting"] == [({}, 0.0)]
    assert "stoker_proxy_requests_total" not in samples


def test_the_snapshots_age_grows_until_the_store_confirms_it(tmp_path: Path) -> None:
    one = presence(tmp_path)
    one.confirmed_s = monotonic() - 90
    [(_, age_s)] = told(PlaneMetrics(one))["stoker_proxy_snapshot_age_seconds"]
    assert 90 <= age_s < 100


def test_it_is_ready_once_a_snapshot_is_applied_and_until_it_ends(tmp_path: Path) -> None:
    plane = Plane(load(None), "p")
    one = Presence(
        plane, cast("Noticeboard", None), SnapshotFile(tmp_path / "p.json", "stoker", "production", ()), print
    )
    metrics = PlaneMetrics(one, draining=lambda: plane.draining)
    assert Health(good=False, why="not ready: no snapshot of the fleet is applied yet") == metrics.readiness()
    plane.apply(snapshot(7))
    assert Health(good=True, why="ready: generation 7 is applied") == metrics.readiness()
    plane.drain()
    assert Health(good=False, why="not ready: it ends") == metrics.readiness()


def test_it_is_alive_while_its_loop_turns(tmp_path: Path) -> None:
    one = presence(tmp_path)
    assert PlaneMetrics(one).health().good
    one.turned_s -= 60
    assert Health(good=False, why="the loop has not turned for 60 s") == PlaneMetrics(one).health()
