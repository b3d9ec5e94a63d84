"""Monotonic counters of many proxies in; requests a second, in-flight and held over two windows out. Pure.

Rules: the first sight of a proxy counts nothing, but where it began in a hole that others are counted over; a new
series or a smaller value counts the new value; what is seen for less than a second is spread over one; a lost write
costs nothing; a silent proxy keeps its last gauges and adds no rate; all proxies silent is no data, not zero.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from fleet.registry import ProxyReading, Sighting

_value = itemgetter(1)

Point = TypeVar("Point", bound=tuple[float, ...])

CLOSEST_POINTS_S = 0.2  # looks closer together than this share a point, so that wakes do not grow the window
HOLE_S = 1.5  # more than this between two looks is a hole
SHORTEST_S = 1.0  # one request in a history that is shorter than this is no rate of many a second
LATE_S = 1.5  # a report that is later than this was not only slow: its proxy may be gone, and its clients with others


@dataclass(frozen=True, slots=True)
class Track:
    """One proxy over time. `points` are (now, arrivals, milliseconds), both summed since the first sight.

    `since` is when the present series was first seen.
    """

    series: str
    arrivals: int
    uptime_ms: int
    in_flight: int
    held: int
    points: tuple[tuple[float, int, int], ...]
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Window:
    """What the meter remembers: a track for each proxy, and the fleet's gauge (now, in-flight and held together)."""

    tracks: Mapping[str, Track] = field(default_factory=dict)
    gauge: tuple[tuple[float, int], ...] = ()
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What the counters say. A rate is None until two looks allow one; `full` once the stable window is covered.

    `stable_*` and `panic_*` are means over the two windows; `in_flight` and `held` are the present; the in-flight
    means count held requests too, because those need an instance as much. `idle`: nothing arrived, nothing was in
    flight or held for the whole stable window.
    """

    stable_rps: float | None
    panic_rps: float | None
    stable_in_flight: float
    panic_in_flight: float
    in_flight: int
    held: int
    full: bool
    idle: bool


def observe(
    window: Window, now: float, sighting: Sighting, *, stable_s: float, panic_s: float
) -> tuple[Window, Load | None]:
    """Add one look at all proxies; the load is None while none of them reports."""
    oldest = now - stable_s
    tracks = {reading.id: _follow(window.tracks.get(reading.id), reading, now, oldest) for reading in sighting.readings}
    for proxy in sighting.silent:
        if proxy in window.tracks:
            tracks[proxy] = window.tracks[proxy]
    if not sighting.readings:
        return replace(window, tracks=tracks), None
    in_flight = held = 0
    for track in tracks.values():
        in_flight += track.in_flight
        held += track.held
    gauge = _append(window.gauge, (now, in_flight + held), oldest)
    broken = window.since is None or not window.gauge or window.gauge[-1][0] < oldest
    since = now if broken else window.since
    full = since is not None and now - since >= stable_s
    stable_rps = _rate(tracks, sighting, now, oldest, since or now)
    load = Load(
        stable_rps=stable_rps,
        panic_rps=_rate(tracks, sighting, now, now - panic_s, since or now),
        stable_in_flight=sum(map(_value, gauge)) / len(gauge),
        panic_in_flight=_recent_mean(gauge, now - panic_s),
        in_flight=in_flight,
        held=held,
        full=full,
        idle=full and stable_rps == 0 and not any(map(_value, gauge)) and not _unseen(tracks, oldest),
    )
    return Window(tracks, gauge, since), load


def _unseen(tracks: Mapping[str, Track], oldest: float) -> bool:
    """Whether a proxy may have had requests within the window before it, or its present series, was first seen."""
    return any(track.since > oldest for track in tracks.values())


def _follow(track: Track | None, reading: ProxyReading, now: float, oldest: float) -> Track:
    if track is None:
        point = (now, 0, 0)
        return Track(
            reading.series, reading.arrivals, reading.uptime_ms, reading.in_flight, reading.held, (point,), now
        )
    (_, total, span_ms), since = track.points[-1], track.since
    if reading.series != track.series:
        point, since = (now, total + reading.arrivals, span_ms + reading.uptime_ms), now
    elif reading.uptime_ms < track.uptime_ms:  # an old reading, of a store that lost its last writes: counted before
        point = (now, total, span_ms)
    elif reading.arrivals < track.arrivals:
        point = (now, total + reading.arrivals, span_ms + reading.uptime_ms - track.uptime_ms)
    else:
        point = (now, total + reading.arrivals - track.arrivals, span_ms + reading.uptime_ms - track.uptime_ms)
    return Track(
        reading.series,
        reading.arrivals,
        reading.uptime_ms,
        reading.in_flight,
        reading.held,
        _append_over_holes(track.points, point, oldest),
        since,
    )


def _append(points: tuple[Point, ...], point: Point, oldest: float) -> tuple[Point, ...]:
    first, end, since = 0, len(points), oldest - CLOSEST_POINTS_S
    if end > 1 and point[0] - points[-2][0] < CLOSEST_POINTS_S:
        end -= 1
    while first < end and points[first][0] < since:
        first += 1
    return (*points[first:end], point)


def _append_over_holes(points: tuple[Point, ...], point: Point, oldest: float) -> tuple[Point, ...]:
    """The same, but where nothing was seen for long, the point before the hole stays: what arrived in it counts."""
    kept = _append(points, point, oldest)
    begins = kept[0][0]
    if begins > oldest + HOLE_S:
        before = next((one for one in reversed(points) if one[0] < begins), None)
        return kept if before is None else (before, *kept)
    return kept


def _rate(tracks: Mapping[str, Track], sighting: Sighting, now: float, oldest: float, since: float) -> float | None:
    """The sum of the proxies' own rates since `oldest`; None while no proxy was seen twice.

    Each by its own clock, so that a late report costs nothing. But who came later than the window's begin took its
    requests from others that are counted over all of it, and whose reports stay away gives them to others: those are
    spread over the time that passed here.
    """
    silent, total, known = sighting.silent, 0.0, False
    spans: list[tuple[str, Track, int]] = []
    earliest = oldest - CLOSEST_POINTS_S
    hole_from = hole_until = earliest  # the longest hole that the window begins in
    for proxy, track in tracks.items():
        points = track.points
        if len(points) < 2:
            continue
        known = True
        if proxy in silent and points[-1][0] < oldest:
            continue
        first = _first(points, oldest, silent=proxy in silent)
        spans.append((proxy, track, first))
        if points[first][0] < hole_from:
            hole_from, hole_until = points[first][0], points[first + 1][0]
    begun, shortest_ms = max(oldest, since), min(SHORTEST_S, now - oldest) * 1000
    for proxy, track, first in spans:
        if hole_from < earliest and _came_within(track, first, hole_from):
            total += _arrived_since(track, oldest, hole_from, hole_until) / (now - oldest)
            continue
        at, arrivals, span_ms = _begin(track.points, first, oldest)
        elapsed_ms = _elapsed_ms(track, at, span_ms, now, begun, silent=proxy in silent)
        if elapsed_ms > 0:
            total += (track.points[-1][1] - arrivals) * 1000 / max(elapsed_ms, shortest_ms)
    return total if known else None


def _first(points: tuple[tuple[float, int, int], ...], oldest: float, *, silent: bool) -> int:
    """Where the window begins: at its first point, or before the hole that it begins with."""
    earliest = oldest - CLOSEST_POINTS_S
    if points[0][0] >= earliest:
        return 0
    first = min(bisect_left(points, (earliest,)), len(points) - (1 if silent else 2))
    return first - 1 if first and points[first][0] > oldest + HOLE_S else first


def _came_within(track: Track, first: int, hole_from: float) -> bool:
    """Whether a proxy began after the hole did that another one is counted over, and so took requests from that one.

    All that it ever counted is then to be spread over the hole, too. It is the proxy's own clock that tells: one that
    is first seen after the hole may have come at any moment of it, or have served unseen all the time.
    """
    latest = track.points[-1][0]
    return hole_from < track.since <= track.points[first][0] and hole_from < latest - track.uptime_ms / 1000


def _begin(points: tuple[tuple[float, int, int], ...], first: int, oldest: float) -> tuple[float, float, float]:
    """What was counted when the window began: in a hole by its share, as if requests had come evenly all through it.

    So the window is as long for all, and who takes another's requests over is never counted beside them.
    """
    at, arrivals, span_ms = points[first]
    if at >= oldest - CLOSEST_POINTS_S:
        return at, arrivals, span_ms
    until, arrivals_then, span_then_ms = points[first + 1]
    share = (oldest - at) / (until - at)
    return oldest, arrivals + share * (arrivals_then - arrivals), span_ms + share * (span_then_ms - span_ms)


def _arrived_since(track: Track, oldest: float, hole_from: float, hole_until: float) -> float:
    """What came within the window to one that began in the hole: evenly over all of the hole."""
    points = track.points
    at, arrivals, _ = points[min(bisect_left(points, (hole_until,)), len(points) - 1)]
    counted = track.arrivals - points[-1][1] + arrivals
    return track.arrivals - counted * (oldest - hole_from) / (at - hole_from)


def _elapsed_ms(track: Track, at: float, span_ms: float, now: float, begun: float, *, silent: bool) -> float:
    """The time that what arrived at one proxy since then is spread over."""
    from_here = min(at, begun)
    since_ms = (now - from_here) * 1000 if track.since > from_here else (now - at - LATE_S) * 1000
    return max(since_ms, (now - at) * 1000 if silent else track.points[-1][2] - span_ms)


def _recent_mean(gauge: tuple[tuple[float, int], ...], oldest: float) -> float:
    total = count = 0
    for at, value in reversed(gauge):
        if at < oldest and count:
            break
        total += value
        count += 1
    return total / count
