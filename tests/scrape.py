"""A scrape of a real part, read by Prometheus' own parser."""

from __future__ import annotations

import http.client
from contextlib import closing
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterator


def ask(port: int, path: str) -> tuple[int, str]:
    """Status and text of a page on that port of loopback. Raises OSError while nobody listens."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


class Scrape:
    """All samples of one scrape."""

    def __init__(self, port: int) -> None:
        _, text = ask(port, "/metrics")
        self.samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    @property
    def names(self) -> set[str]:
        """The names of all samples."""
        return {sample.name for sample in self.samples}

    def value(self, name: str, **labels: str) -> float:
        """The one sample of that name that has these labels."""
        [found] = self._found(name, labels)
        return found

    def _found(self, name: str, labels: dict[str, str]) -> Iterator[float]:
        for sample in self.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                yield sample.value
