"""One proxy's counters: written as a hash, and read with suspicion.

Those by backend are columns, a JSON array each, so that a reader takes the few that it needs: a thousand rows of fifty
proxies are a quarter of a million numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pydantic_core import from_json  # in half of json's time

from fleet.registry import BackendCounters, Outcomes, ProxyReading
from fleet.store.fields import LIMIT, STORED_LIMIT, flat, number, text

COUNTERS = ("arrivals", "completions", "refused", "errors_4xx", "errors_5xx", "in_flight", "held")
READING_FIELDS = ("series", "uptime_ms", "generation", *COUNTERS, "outlives_agent", "leaving")
COLUMNS = tuple(item.name for item in fields(BackendCounters))
DETAIL_COLUMNS = ("refused", "in_flight")
OUTCOME_COLUMNS = ("arrivals", "errors", "busy_ms")
MAX_SERIES = 128


def reading_fields(reading: ProxyReading) -> list[str]:
    """Field and value by turns."""
    values: dict[str, object] = {name: getattr(reading, name) for name in READING_FIELDS}
    values["outlives_agent"] = int(reading.outlives_agent)
    values["leaving"] = _json(dict(reading.leaving))
    if reading.backends is not None:
        rows = reading.backends.values()
        values["backends"] = _json(list(reading.backends))
        values |= {_column(name): _json([getattr(one, name) for one in rows]) for name in COLUMNS if name != "total_ms"}
        values[_column("total_ms")] = _json([round(one.total_ms, 3) for one in rows])
    if reading.figures is not None:
        values["figures"] = _json(reading.figures)
    return flat(values)


def column_fields(columns: Sequence[str]) -> list[str]:
    """The fields that hold these columns, the names of their backends first; none for no column."""
    return ["backends", *map(_column, columns)] if columns else []


def read_reading(proxy: str, values: Sequence[object]) -> ProxyReading:
    """One proxy's reading from its values in the order of READING_FIELDS.

    Raises ValueError, in one line, for a counter that no proxy can have.
    """
    series, uptime, generation, *counters, outlives, leaving = values
    numbers: dict[str, Any] = {}
    for name, value in zip(("uptime_ms", *COUNTERS), (uptime, *counters), strict=True):
        read = number(value)
        if read is None:
            raise ValueError(_absurd(proxy, name, value))
        numbers[name] = read
    applied = number(generation, STORED_LIMIT)
    if applied is None:
        raise ValueError(_absurd(proxy, "generation", generation, STORED_LIMIT))
    if not isinstance(series, bytes) or not 0 < len(series) <= MAX_SERIES:
        raise ValueError(f"proxy {proxy}: series must be a short text, was {text(series)[:80]!r}")
    return ProxyReading(
        id=proxy,
        series=text(series),
        generation=applied,
        leaving={} if leaving == b"{}" else _leaving(proxy, leaving),
        outlives_agent=outlives == b"1",
        **numbers,
    )


@dataclass(frozen=True, slots=True)
class Table:
    """Some columns of one proxy's counters by backend, each as long as `names`."""

    names: tuple[str, ...]
    columns: Mapping[str, Sequence[Any]]

    def above_zero(self, column: str) -> dict[str, int]:
        """That column by backend, where it is not 0."""
        values = self.columns[column]
        return {name: value for name, value in zip(self.names, values, strict=True) if value} if any(values) else {}

    def outcomes(self) -> dict[str, Outcomes]:
        """What has ended, by backend."""
        told = (self.columns[name] for name in ("arrivals", "in_flight", "errors", "busy_ms"))
        return {
            name: Outcomes(max(0, arrivals - in_flight), errors, busy_ms)
            for name, arrivals, in_flight, errors, busy_ms in zip(self.names, *told, strict=True)
        }

    def rows(self) -> dict[str, BackendCounters]:
        """All of it by backend; every column is needed for that."""
        columns = (self.columns[name] for name in COLUMNS)
        return dict(zip(self.names, map(BackendCounters, *columns), strict=True))


def read_table(
    proxy: str, columns: Sequence[str], values: Sequence[object], known: dict[object, tuple[str, ...]]
) -> Table:
    """The columns from the values of their fields; no fields are an empty table.

    `known` keeps the names by how they were written: most proxies list the same backends. Raises ValueError.
    """
    listed, *told = values
    if listed is None:
        return Table((), dict.fromkeys(columns, ()))
    names = known.get(listed)
    if names is None:
        names = known[listed] = _names(proxy, listed)
    table: dict[str, Sequence[Any]] = {}
    for column, value in zip(columns, told, strict=True):
        table[column] = _array(proxy, _column(column), value)
        if len(table[column]) != len(names) or not _sound(table[column], whole=column != "total_ms"):
            raise ValueError(
                f"proxy {proxy}: {_column(column)} must be a number from 0 up for each of {len(names)} backends, "
                f"was {text(value)[:80]!r}"
            )
    return Table(names, table)


def _column(name: str) -> str:
    return f"backend_{name}"


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _absurd(proxy: str, name: str, value: object, limit: int = LIMIT) -> str:
    return f"proxy {proxy}: {name} must be a whole number below {limit:.0e}, was {text(value)[:80]!r}"


def _leaving(proxy: str, value: object) -> Mapping[str, int]:
    """A gauge that cannot be read must not pass for 0: what drains would be stopped."""
    try:
        read: object = from_json(value if isinstance(value, bytes) else b"")
    except ValueError:
        read = None
    if not isinstance(read, dict) or not _sound(list(read.values()), whole=True):
        raise ValueError(f"proxy {proxy}: leaving must be requests by backend, was {text(value)[:80]!r}")
    return read


def _array(proxy: str, field: str, value: object) -> list[Any]:
    try:
        read = from_json(value if isinstance(value, bytes) else b"")
    except ValueError:
        read = None
    if not isinstance(read, list):
        raise ValueError(f"proxy {proxy}: {field} must be a JSON array, was {text(value)[:80]!r}")  # noqa: TRY004
    return read


def _names(proxy: str, value: object) -> tuple[str, ...]:
    names = _array(proxy, "backends", value)
    if set(map(type, names)) - {str}:
        raise ValueError(f"proxy {proxy}: backends must be names, was {text(value)[:80]!r}")
    return tuple(names)


def _sound(values: Sequence[Any], *, whole: bool) -> bool:
    """Whether each is a number, none below 0. No loop of Python's over them: there may be very many."""
    if set(map(type, values)) - ({int} if whole else {int, float}):
        return False
    # min and max may pass a NaN over; a sum never does.
    return not values or (min(values) >= 0 and max(values) < LIMIT and sum(values) >= 0)
