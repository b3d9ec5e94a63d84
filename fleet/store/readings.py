"""One proxy's counters: written as a hash, and read with suspicion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json  # in half of json's time

from fleet.registry import BackendCounters, ProxyReading
from fleet.store.fields import LIMIT, REPORTED_LIMIT, flat, number, text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

COUNTERS = ("arrivals", "completions", "refused", "errors_4xx", "errors_5xx", "in_flight", "held")
READING_FIELDS = ("series", "uptime_ms", "generation", *COUNTERS, "outlives_agent")
MAX_SERIES = 128


def reading_fields(reading: ProxyReading) -> list[str]:
    """Field and value by turns."""
    fields: dict[str, object] = {name: getattr(reading, name) for name in READING_FIELDS}
    fields["outlives_agent"] = int(reading.outlives_agent)
    if reading.backends is not None:
        fields["backends"] = json.dumps(
            {
                name: (one.arrivals, one.errors, one.refused, one.in_flight, round(one.total_ms, 3))
                for name, one in reading.backends.items()
            },
            separators=(",", ":"),
        )
    if reading.figures is not None:
        fields["figures"] = json.dumps(reading.figures, separators=(",", ":"))
    return flat(fields)


def read_reading(proxy: str, values: Sequence[object], detail: object) -> ProxyReading:
    """One proxy's reading from its values in the order of READING_FIELDS.

    Raises ValueError, in one line, for a counter that no proxy can have.
    """
    series, uptime, generation, *counters, outlives = values
    numbers: dict[str, Any] = {}
    for name, value in zip(("uptime_ms", *COUNTERS), (uptime, *counters), strict=True):
        read = number(value)
        if read is None:
            raise ValueError(_absurd(proxy, name, value))
        numbers[name] = read
    applied = number(generation, REPORTED_LIMIT)
    if applied is None:
        raise ValueError(_absurd(proxy, "generation", generation, REPORTED_LIMIT))
    if not isinstance(series, bytes) or not 0 < len(series) <= MAX_SERIES:
        raise ValueError(f"proxy {proxy}: series must be a short text, was {text(series)[:80]!r}")
    return ProxyReading(
        id=proxy,
        series=text(series),
        generation=applied,
        outlives_agent=outlives == b"1",
        backends=None if detail is None else _backend_counters(proxy, detail),
        **numbers,
    )


def _absurd(proxy: str, name: str, value: object, limit: int = LIMIT) -> str:
    return f"proxy {proxy}: {name} must be a whole number below {limit:.0e}, was {text(value)[:80]!r}"


def _backend_counters(proxy: str, detail: object) -> Mapping[str, BackendCounters]:
    try:
        entries = from_json(detail if isinstance(detail, bytes) else b"")
    except ValueError as error:
        raise ValueError(f"proxy {proxy}: backends must be JSON, was {text(detail)[:80]!r}") from error
    if not isinstance(entries, dict):
        raise ValueError(f"proxy {proxy}: backends must be a JSON object, was {text(detail)[:80]!r}")  # noqa: TRY004
    if not _all_sound(entries.values()):
        name, bad = next((name, entry) for name, entry in entries.items() if not _all_sound([entry]))
        raise ValueError(f"proxy {proxy}: backends.{name[:80]} must be five numbers from 0 up, was {str(bad)[:80]}")
    return CountersByName(entries)


def _all_sound(entries: Collection[object]) -> bool:
    """Whether each is four whole numbers and a number, none below 0.

    Fifty proxies with a thousand backends each are a quarter of a million numbers: no loop of Python's over them.
    """
    if set(map(type, entries)) - {list} or set(map(len, entries)) - {5}:  # type: ignore[arg-type]  # all are lists
        return False
    numbers: list[Any] = list(chain.from_iterable(entries))  # type: ignore[arg-type]  # likewise
    means = numbers[4::5]
    del numbers[4::5]
    if set(map(type, numbers)) - {int} or set(map(type, means)) - {int, float}:
        return False
    # min and max may pass a NaN over; a sum never does.
    return not numbers or (
        min(numbers) >= 0 and max(numbers) < LIMIT and sum(means) >= 0 and min(means) >= 0 and max(means) < LIMIT
    )


class CountersByName(Mapping[str, BackendCounters]):
    """Checked entries that become BackendCounters only when they are looked at, because few of them ever are."""

    __slots__ = ("_entries",)

    def __init__(self, entries: dict[str, Any]) -> None:
        self._entries = entries

    def __getitem__(self, name: str) -> BackendCounters:
        return BackendCounters(*self._entries[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return repr(dict(self))
