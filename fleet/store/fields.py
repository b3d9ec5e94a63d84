"""The values inside Redis' keys: written as text, and read with suspicion."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from fleet.registry import BackendCounters, Happening, Order, OrderKind, ProxyReading, Summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A double, Lua's only number, holds whole numbers below this exactly. The other limits are those of common.lua.
LIMIT = 10**15
STORED_LIMIT = 2 * 10**14
REPORTED_LIMIT = 10**14
SERIAL_LIMIT = 10**12
# Above the largest `max` that the settings take.
COUNT_LIMIT = 10_001

COUNTERS = ("arrivals", "completions", "refused", "errors_4xx", "errors_5xx", "in_flight", "held")
READING_FIELDS = ("series", "uptime_ms", "generation", *COUNTERS, "outlives_agent")
MAX_SERIES = 128
EVENT_FIELDS = ("at", "kind", "subject", "before", "after", "reasons")


def text(value: object) -> str:
    """A reply as text; bytes that are no UTF-8 are shown as such and match no name."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else "" if value is None else str(value)


def number(value: object, limit: int = LIMIT) -> int | None:
    """A whole number from 0 to below the limit, or None for anything else."""
    if isinstance(value, bytes) and value.isdigit() and len(value) <= len(str(LIMIT)):
        read = int(value)
        return read if read < limit else None
    return None


def finite(value: object) -> float | None:
    """A number that is neither NaN nor infinite nor below 0, or None."""
    try:
        read = float(text(value))
    except ValueError:
        return None
    return read if math.isfinite(read) and read >= 0 else None


def _texts(value: object) -> tuple[str, ...]:
    try:
        read = json.loads(text(value) or "[]")
    except (ValueError, RecursionError):
        return (text(value)[:200],)
    return tuple(str(item) for item in read) if isinstance(read, list) else (str(read)[:200],)


def _flat(pairs: Mapping[str, object]) -> list[str]:
    return [str(part) for name, value in pairs.items() if value is not None for part in (name, value)]


def summary_fields(summary: Summary, scaler: str) -> list[str]:
    """Field and value by turns; what is None is left out."""
    return _flat(
        {
            "scaler": scaler,
            "state": summary.state,
            "desired": summary.desired,
            "rps": summary.rps,
            "in_flight": summary.in_flight,
            "held": summary.held,
            "reasons": json.dumps(summary.reasons),
            "paused": int(summary.paused),
            "manual": summary.manual,
            "last_order": summary.last_order,
        }
    )


def read_summary(fields: Mapping[bytes, bytes]) -> Summary | None:
    """What the fields say; a field that says nothing sensible counts as absent. None where there is no field."""
    if not fields:
        return None
    return Summary(
        state=text(fields.get(b"state"))[:40],
        desired=number(fields.get(b"desired"), COUNT_LIMIT) or 0,
        rps=finite(fields.get(b"rps")),
        in_flight=number(fields.get(b"in_flight")),
        held=number(fields.get(b"held")),
        reasons=_texts(fields.get(b"reasons")),
        paused=fields.get(b"paused") == b"1",
        manual=number(fields.get(b"manual"), COUNT_LIMIT),
        last_order=stream_id(fields.get(b"last_order")),
    )


def stream_id(value: object) -> str:
    """A stream entry's id, or "" where the value is none."""
    read = text(value)
    first, dash, second = read.partition("-")
    digits = f"{first}{second}" if dash else ""
    return read if digits.isascii() and digits.isdigit() and first and second and len(read) <= 40 else ""


def happening_fields(happenings: Sequence[Happening]) -> list[str]:
    """Every happening's fields and values, one after the other; each has `2 * len(EVENT_FIELDS)` of them."""
    flat: list[str] = []
    for one in happenings:
        values = (repr(one.at), one.kind, one.subject, one.before, one.after, json.dumps(one.reasons))
        flat += [part for pair in zip(EVENT_FIELDS, values, strict=True) for part in pair]
    return flat


def read_happening(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Happening:
    """What a history entry says; without a usable time of its own, the time in its id."""
    at = finite(fields.get(b"at"))
    return Happening(
        at=at if at is not None else int(entry_id.partition(b"-")[0]) / 1000,
        kind=text(fields.get(b"kind")),
        subject=text(fields.get(b"subject")),
        before=text(fields.get(b"before")),
        after=text(fields.get(b"after")),
        reasons=_texts(fields.get(b"reasons")),
    )


def order_fields(order: Order) -> list[str]:
    """Field and value by turns."""
    return _flat({"kind": order.kind, "count": order.count})


def read_order(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Order:
    """Raises ValueError, in one line, for an order that nobody could have placed."""
    kind, count = text(fields.get(b"kind")), number(fields.get(b"count"), COUNT_LIMIT)
    if kind not in set(OrderKind) or (kind == OrderKind.SCALE and count is None):
        raise ValueError(f"order {text(entry_id)}: must be one of {', '.join(OrderKind)}, scale with a count")
    return Order(OrderKind(kind), count if kind == OrderKind.SCALE else None, text(entry_id))


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
    return _flat(fields)


def read_reading(proxy: str, values: Sequence[object], detail: object) -> ProxyReading:
    """One proxy's reading from its values in the order of READING_FIELDS.

    Raises ValueError, in one line, for a counter that no proxy can have.
    """
    series, uptime, generation, *counters, outlives = values
    numbers: dict[str, int] = {}
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
        entries = json.loads(text(detail))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"proxy {proxy}: backends must be JSON, was {text(detail)[:80]!r}") from error
    if not isinstance(entries, dict):
        raise ValueError(f"proxy {proxy}: backends must be a JSON object, was {text(detail)[:80]!r}")  # noqa: TRY004
    return {name: _counters_of(proxy, name, entry) for name, entry in entries.items()}


def _counters_of(proxy: str, name: str, entry: object) -> BackendCounters:
    match entry:
        case [int(arrivals), int(errors), int(refused), int(in_flight), int() | float() as total_ms] if all(
            0 <= value < LIMIT for value in entry
        ):
            return BackendCounters(arrivals, errors, refused, in_flight, float(total_ms))
        case _:
            shown = json.dumps(entry)[:80]
            raise ValueError(f"proxy {proxy}: backends.{name[:80]} must be five numbers from 0 up, was {shown}")
