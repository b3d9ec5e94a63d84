"""What a profile holds, as numbers and tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import TYPE_CHECKING

from flamegraph.collector import NAMES
from flamegraph.groups import classify, shares, stack_weights

if TYPE_CHECKING:
    from flamegraph.profile import Profile

Number = int | float


@dataclass(frozen=True, slots=True)
class Row:
    """A frame, or a group of them: its own weight, its weight with what it calls, and both as percentages."""

    name: str
    place: str
    own: Number
    total: Number | None
    own_percent: float
    total_percent: float | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls the asked-for method, and how much of it."""

    name: str
    place: str
    weight: Number


@dataclass(frozen=True, slots=True)
class Summary:
    """All that `flamegraph info` says; None is unknown."""

    source: str
    title: str
    note: str
    mode: str
    unit: str
    interval: int | None
    total: Number
    stacks: int
    deepest: int
    missed: int | None
    gc_percent: float | None
    duration_us: int | None
    aggregated: bool
    top_self: Sequence[Row]
    top_total: Sequence[Row]
    groups: Sequence[Row]
    callers_of: str
    callers: Sequence[Caller]
    warnings: Sequence[str]
    metadata: Mapping[str, object]


def summarize(profile: Profile, top: int = 15, callers: str = "") -> Summary:
    """Count what the profile holds: out of its stacks, or out of the totals of an aggregated dump."""
    own, total = _weights(profile)
    whole = sum(own)
    rows = [
        Row(frame.name, _place(frame.file, frame.line), mine, all_, _percent(mine, whole), _percent(all_, whole))
        for frame, mine, all_ in zip(profile.frames, own, total, strict=True)
    ]
    return Summary(
        source=profile.source,
        title=profile.title,
        note=profile.note,
        mode=profile.mode,
        unit=profile.unit,
        interval=profile.interval,
        total=whole,
        stacks=len(profile.stacks),
        deepest=max(map(len, profile.stacks), default=0),
        missed=profile.missed,
        gc_percent=_gc_percent(profile, own, whole),
        duration_us=_duration(profile),
        aggregated=bool(profile.totals),
        top_self=sorted(rows, key=lambda row: (-row.own, row.name, row.place))[:top],
        top_total=sorted(rows, key=lambda row: (-(row.total or 0), row.name, row.place))[:top],
        groups=_groups(profile, whole)[:top],
        callers_of=callers,
        callers=_callers(profile, callers)[:top] if callers else (),
        warnings=profile.warnings,
        metadata=profile.metadata,
    )


def as_json(summary: Summary) -> str:
    """One object of JSON; of metadata what JSON has no word for is named by its kind."""
    return json.dumps(asdict(summary) | {"metadata": _plain(summary.metadata)}, ensure_ascii=False, indent=1) + "\n"


def as_text(summary: Summary) -> str:
    """Lines for people."""
    lines = [f"{name:<10} {value}" for name, value in _facts(summary) if value]
    for title, rows in (
        ("top by self", summary.top_self),
        ("top by total", summary.top_total),
        ("gems", summary.groups),
    ):
        lines += ["", f"{title:<34}     self            total"]
        lines += [_row(row) for row in rows]
    if summary.callers_of:
        lines += ["", f"callers of {summary.callers_of}"]
        lines += [f"{caller.weight:>12,} {caller.name}  {caller.place}" for caller in summary.callers] or ["  none"]
    return "\n".join(lines) + "\n"


def _facts(summary: Summary) -> list[tuple[str, str]]:
    interval = "" if summary.interval is None else f"{summary.interval:,}"
    unit = "objects" if summary.mode == "object" else "µs"
    missed = "" if summary.missed is None else f"{summary.missed:,}"
    gc = "" if summary.gc_percent is None else f"{summary.gc_percent:.1f} %"
    stacks = (
        "none: aggregated" if summary.aggregated else f"{summary.stacks:,} different, up to {summary.deepest:,} deep"
    )
    return [
        ("source", summary.source),
        ("title", summary.title),
        ("note", summary.note),
        ("mode", summary.mode),
        ("interval", f"{interval} {unit}" if interval else ""),
        ("total", f"{summary.total:,} {summary.unit}"),
        ("stacks", stacks),
        ("missed", missed),
        ("gc", gc),
        ("duration", "" if summary.duration_us is None else f"{summary.duration_us / 1_000_000:.3f} s"),
        *(("warning", each) for each in summary.warnings),
    ]


def _row(row: Row) -> str:
    total = "" if row.total is None else f"{row.total:>10,} {row.total_percent:6.2f} %"
    return f"{row.own:>10,} {row.own_percent:6.2f} % {total:>19}  {row.name}  {row.place}".rstrip()


def _place(file: str, line: int) -> str:
    return f"{file}:{line}" if line else file


def _percent(part: Number, whole: Number) -> float:
    return round(100 * part / whole, 4) if whole else 0.0


def _gc_percent(profile: Profile, own: Sequence[Number], whole: Number) -> float | None:
    seen = sum(weight for frame, weight in zip(profile.frames, own, strict=True) if frame.name in NAMES)
    if seen or not whole or profile.gc_samples is None:
        return _percent(seen, whole) if seen else None
    # stackprof 0.2.7 counts the collector's samples and lists them nowhere.
    return _percent(profile.gc_samples, whole + profile.gc_samples)


def _duration(profile: Profile) -> int | None:
    if not profile.starts_us:
        return None
    return profile.stopped_us if profile.stopped_us is not None else profile.starts_us[-1] + (profile.interval or 0)


def _weights(profile: Profile) -> tuple[list[Number], list[Number]]:
    if profile.totals:
        return [each.self_samples for each in profile.totals], [each.total_samples for each in profile.totals]
    own: list[Number] = [0] * len(profile.frames)
    total: list[Number] = [0] * len(profile.frames)
    for stack, weight in zip(profile.stacks, stack_weights(profile), strict=True):
        if stack:
            own[stack[-1]] += weight
        for frame in set(stack):
            total[frame] += weight
    return own, total


def _groups(profile: Profile, whole: Number) -> list[Row]:
    if not profile.totals:
        return [
            Row(each.group, "", each.own, each.total, _percent(each.own, whole), _percent(each.total, whole))
            for each in shares(profile)
        ]
    names, own = classify(profile.frames)
    sums: dict[str, Number] = {}
    for place, totals in zip(own, profile.totals, strict=True):
        # Without stacks nobody knows for whom a C function worked.
        name = names[place] if place >= 0 else "C and internal functions"
        sums[name] = sums.get(name, 0) + totals.self_samples
    rows = [Row(name, "", weight, None, _percent(weight, whole), None) for name, weight in sums.items() if weight]
    return sorted(rows, key=lambda row: (-row.own, row.name))


def _callers(profile: Profile, name: str) -> list[Caller]:
    sums: dict[int, Number] = {}
    called = {index for index, frame in enumerate(profile.frames) if frame.name == name}
    for caller, totals in enumerate(profile.totals):
        calls = sum(count for callee, count in totals.callees.items() if callee in called)
        if calls:
            sums[caller] = calls
    for stack, weight in zip(profile.stacks, stack_weights(profile), strict=True):
        above = {caller for caller, callee in zip((-1, *stack), stack, strict=False) if callee in called}
        for caller in above:
            sums[caller] = sums.get(caller, 0) + weight
    found = []
    for index, weight in sums.items():
        frame = profile.frames[index] if index >= 0 else None
        found.append(Caller(frame.name if frame else "(root)", _place(frame.file, frame.line) if frame else "", weight))
    return sorted(found, key=lambda caller: (-caller.weight, caller.name, caller.place))


def _plain(value: object, depth: int = 0) -> object:
    if isinstance(value, bool | str | int | type(None)):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if depth < 8 and isinstance(value, dict):
        return {str(key)[:200]: _plain(each, depth + 1) for key, each in value.items()}
    if depth < 8 and isinstance(value, list):
        return [_plain(each, depth + 1) for each in value]
    return f"({getattr(value, 'class_name', type(value).__name__)})"
