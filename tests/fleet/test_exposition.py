"""The text is what the library itself writes, and hostile values stay inside their quotes."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from fleet.exposition import Column, exposition

COMMON = {"fleet": "stoker", "app": "web"}


def one_gauge(label: str, value: float = 1.0) -> Metric:
    gauge = GaugeMetricFamily("stoker_thing", "A thing.", labels=("name",))
    gauge.add_metric((label,), value)
    return gauge


def read(text: bytes) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Samples by name, as Prometheus' own parser reads them."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_every_sample_carries_the_common_labels() -> None:
    assert {"stoker_thing": [(COMMON | {"name": "web1"}, 1.0)]} == read(exposition([one_gauge("web1")], COMMON))


def test_the_same_comes_out_as_from_the_library() -> None:
    registry = CollectorRegistry()
    histogram = Histogram("stoker_time_seconds", "Time.", registry=registry, buckets=(0.1, 1))
    histogram.observe(0.5)
    counter = CounterMetricFamily("stoker_things", 'With "quotes", \\ and\nlines.', 7)
    mine = exposition([*histogram.collect(), counter, one_gauge("web1", 0.25)], {"app": "web"})
    registry.register(_Given([counter, one_gauge("web1", 0.25)]))
    theirs = [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
    assert theirs == [line.replace('app="web",', "").replace('{app="web"}', "") for line in mine.decode().splitlines()]


def test_a_column_is_written_as_the_librarys_metric_of_the_same_values() -> None:
    values = {"web1": 3, "web2": 0.25, 'we"b\\3\n': 1e18}
    counter = CounterMetricFamily("stoker_things", "Things.", labels=("name",))
    for name, value in values.items():
        counter.add_metric((name,), value)
    column = Column("stoker_things_total", "counter", "Things.", "name", values)
    assert read(exposition([counter], COMMON)) == read(exposition([column], COMMON))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_label_of_any_text_is_read_back(label: str) -> None:
    for metric in (one_gauge(label), Column("stoker_thing", "gauge", "A thing.", "name", {label: 1})):
        assert [(COMMON | {"name": label}, 1.0)] == read(exposition([metric], COMMON))["stoker_thing"]


def test_a_lone_surrogate_does_not_break_the_page() -> None:
    assert [(COMMON | {"name": "?"}, 1.0)] == read(exposition([one_gauge("\udcff")], COMMON))["stoker_thing"]


def test_numbers_that_are_none_are_written_as_prometheus_reads_them() -> None:
    text = exposition([one_gauge("a", math.inf), one_gauge("b", math.nan)], COMMON).decode()
    assert ["+Inf", "NaN"] == [line.rpartition(" ")[2] for line in text.splitlines() if not line.startswith("#")]


class _Given:
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics
