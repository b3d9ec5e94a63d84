"""Makes a profile of a crash: the request's samples, and the way to its exception from the root.

In mode wall a sample weighs the time for which it stands (`crash_time`), else 1. The backtrace weighs nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from flamegraph import crash_time
from flamegraph.crash_raised import raised
from flamegraph.crash_said import said_of, title_of
from flamegraph.profile import Profile, ProfileError, Raised
from flamegraph.readers import stackprof
from flamegraph.readers.stackprof_raw import entries_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flamegraph.crash_document import CrashDocument
    from flamegraph.crash_path import Lines

NOTHING: Final = Profile([], [], [], [])


def profile_of(document: CrashDocument) -> Profile:
    """The profile to draw; where the document's own is not sound, the backtrace alone, and a warning that says so."""
    try:
        profile, lines = _samples(document)
    except (ProfileError, OverflowError) as error:
        problem = f"its profile is not sound, so it is not drawn: {error}"
        profile, lines = replace(NOTHING, warnings=[problem]), {}
    profile = raised(profile, document.fault, lines)
    way = replace(profile.raised or Raised(), said=said_of(document, profile))
    return replace(profile, title=title_of(document), raised=way, source="crash", metadata={})


def _samples(document: CrashDocument) -> tuple[Profile, Lines]:
    """The request's own samples, and the lines that each stack was executing where stackprof wrote them."""
    if document.page:
        from flamegraph.readers.detect import ReadOptions
        from flamegraph.readers.mini_profiler import read

        return read(document.page.encode("utf-8", "replace"), ReadOptions()), {}
    if document.table is None:
        return NOTHING, {}
    profile = stackprof.from_table(document.table, ordered=False)
    # A pause may be the request's own wait: the times of the request tell what is foreign, and better.
    warnings = [each for each in profile.warnings if "--last-segment" not in each]
    profile = replace(profile, warnings=warnings, totals=(), restart=None)
    return _own(profile, document), _lines(document.table, profile)


def _own(profile: Profile, document: CrashDocument) -> Profile:
    """Without the samples from before the request; in mode wall each weighs its time."""
    started, stopped = document.started_us, document.stopped_us
    listed = (document.table or {}).get("raw_sample_timestamps")
    times = listed if isinstance(listed, list) else []
    bare = replace(profile, starts_us=None, stopped_us=None)
    if profile.starts_us is None or started is None or stopped is None or stopped <= started:
        why = "no times are known: widths are samples, not time"
        return replace(bare, warnings=[*profile.warnings, why] if profile.mode == "wall" else profile.warnings)
    span = crash_time.own(profile.order, [int(each) for each in profile.weights], times, started)
    foreign = f"{span.foreign:,} samples from before the request are of an earlier one: they are cut off"
    warnings = [*profile.warnings, foreign] if span.foreign else profile.warnings
    if profile.mode != "wall":
        return replace(bare, order=span.order, weights=[1] * len(span.order), warnings=warnings)
    leaves = [profile.frames[stack[-1]] if stack else None for stack in profile.stacks]
    lengths = crash_time.lasting(span, leaves, started, stopped, max(profile.interval or 0, 1))
    order, weights, firsts = crash_time.joined(span.order, lengths, span.times)
    return replace(
        bare,
        order=order,
        weights=weights,
        unit="microseconds",
        samples=len(span.order),
        starts_us=[0, *(time - started for time in firsts[1:])] if order else None,
        stopped_us=stopped - started,
        warnings=warnings,
    )


def _lines(table: Mapping[object, object], profile: Profile) -> Lines:
    """What `raw_lines`, of the same shape as `raw`, says of each stack; nothing where they do not go together."""
    raw_lines = table.get("raw_lines")
    if not isinstance(raw_lines, list):
        return {}
    listed, entries = entries_of(raw_lines)
    if len(entries.order) != len(profile.order):
        return {}
    found: dict[int, set[tuple[object, ...]]] = {}
    for stack, lines in zip(profile.order, entries.order, strict=True):
        found.setdefault(stack, set()).add(listed[lines])
    return found
