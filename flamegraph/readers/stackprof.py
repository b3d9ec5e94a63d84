"""Read stackprof's dumps, of Ruby's Marshal or of JSON, and what its reports print as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from flamegraph.collector import towers
from flamegraph.pause import warned
from flamegraph.profile import Frame, FrameTotals, Profile, ProfileError
from flamegraph.readers.marshal import load
from flamegraph.readers.marshal_values import RubyObject
from flamegraph.readers.stackprof_clock import read_clock
from flamegraph.readers.stackprof_raw import (
    Entries,
    PackedEntries,
    PackedIntegers,
    entries_of,
    read_edges,
    read_entries,
    read_integers,
    skip_lines,
)
from flamegraph.readers.text import sound

if TYPE_CHECKING:
    from flamegraph.readers.detect import ReadOptions

NAME: Final = "stackprof"
UNKNOWN: Final = "(unknown)"
PACKED: Final = {
    "raw": read_entries,
    "raw_lines": read_integers,
    "raw_sample_timestamps": read_integers,
    "raw_timestamp_deltas": read_integers,
    "edges": read_edges,
    "lines": skip_lines,
}

Table = Mapping[object, object]


def detect(head: bytes) -> bool:
    """Whether the bytes begin a Marshal dump; JSON is told apart by its keys."""
    return head[:1] == b"\x04" and b"\x00" < head[1:2] <= b"\x08"


def read(data: bytes, options: ReadOptions) -> Profile:
    """Read a dump of Ruby's Marshal: stackprof's own, or a page that rack-mini-profiler stored."""
    value = load(data, PACKED)
    if isinstance(value, RubyObject):
        return _stored_page(value, ordered=options.ordered)
    if isinstance(value, dict):
        return from_table(value, ordered=options.ordered)
    raise ProfileError(f"a Marshal dump of {_kind(value)}, where stackprof writes a Hash")


def _kind(value: object) -> str:
    return {list: "an Array", str: "a String", int: "an Integer", type(None): "nil"}.get(type(value), "something else")


def _stored_page(page: RubyObject, *, ordered: bool) -> Profile:
    attributes = page.values.get("@attributes")
    if not isinstance(attributes, dict):
        raise ProfileError(f"a Marshal dump of an object {page.class_name}, which holds no profile")
    graph = attributes.get("flamegraph")
    if not isinstance(graph, dict):
        raise ProfileError("a page stored by rack-mini-profiler without a flame graph: ask for pp=async-flamegraph")
    method, path = attributes.get("request_method"), attributes.get("request_path")
    title = f"{method} {path}" if isinstance(method, str) and isinstance(path, str) else ""
    return from_table(graph, title=title, source="rack-mini-profiler", ordered=ordered)


def from_table(table: Table, title: str = "", source: str = NAME, *, ordered: bool = True) -> Profile:
    """Build a profile from the hash that stackprof returns, with its keys as text.

    Only where it is `ordered` is it asked where recording began anew.
    """
    mode, listed = table.get("mode"), table.get("frames")
    if not isinstance(mode, str) or not isinstance(listed, dict):
        raise ProfileError("a hash without the keys mode and frames, so not one of stackprof's")
    frames, index_of = _frames(listed)
    warnings: list[str] = []
    stacks, entries = _entries(table.get("raw"), frames, index_of, warnings)
    clock = read_clock(table, mode, entries.counts, warnings)
    starts = clock.starts if clock else None
    metadata = table.get("metadata")
    metadata = {sound(str(key)): value for key, value in metadata.items()} if isinstance(metadata, dict) else {}
    found = Profile(
        frames=frames,
        stacks=stacks,
        order=entries.order,
        weights=entries.counts,
        title=title,
        mode=sound(mode),
        interval=_integer(table, "interval"),
        missed=None if mode == "object" else _integer(table, "missed_samples"),
        starts_us=None if starts is None else [each - starts[0] for each in starts],
        stopped_us=_stopped(metadata, starts),
        restart=clock.restart(towers(frames, stacks), entries.order) if clock and ordered else None,
        warnings=warnings,
        metadata=metadata,
        source=source,
        gc_samples=_integer(table, "gc_samples"),
        totals=() if stacks else _totals(listed, len(frames), index_of, _integer(table, "samples") or 0),
    )
    return warned(found) if starts else found


def _integer(table: Table, key: str) -> int | None:
    value = table.get(key)
    return value if isinstance(value, int) else None


def _frames(listed: Table) -> tuple[list[Frame], dict[object, int]]:
    """The different frames by name, file and line, and where each id finds its own."""
    places: dict[tuple[str, str, int], int] = {}
    index_of: dict[object, int] = {}
    for key, entry in listed.items():
        if isinstance(entry, dict):
            name, file, line = entry.get("name"), entry.get("file"), entry.get("line")
            place = (
                sound(name) if isinstance(name, str) else "",
                sound(file) if isinstance(file, str) else "",
                line if isinstance(line, int) and line > 0 else 0,
            )
            index_of[key] = places.setdefault(place, len(places))
    for key, index in tuple(index_of.items()):
        if isinstance(key, str) and key.isdecimal() and len(key) < 20:
            index_of[int(key)] = index
    return [Frame(*place) for place in places], index_of


def _entries(
    raw: object, frames: list[Frame], index_of: Mapping[object, int], warnings: list[str]
) -> tuple[list[tuple[int, ...]], Entries]:
    """The different stacks and the entries of raw; an id without a frame gets one that says so."""
    unknown = len(frames)
    if isinstance(raw, PackedEntries):
        addresses = {key: index for key, index in index_of.items() if isinstance(key, int)}
        stacks, entries = raw.stacks(addresses, unknown), Entries(raw.order, raw.counts)
    elif isinstance(raw, list):
        ids, entries = entries_of(raw)
        stacks = [tuple([_place(each, index_of, unknown) for each in stack]) for stack in ids]
    else:
        return [], Entries([], [])
    if entries.problem:
        warnings.append(entries.problem)
    if any(unknown in stack for stack in stacks):
        frames.append(Frame(UNKNOWN))
        warnings.append("raw names frames that the dump does not list: they are drawn as (unknown)")
    return _without_repeats(stacks, entries)


def _place(key: object, index_of: Mapping[object, int], unknown: int) -> int:
    return index_of.get(key, unknown) if isinstance(key, int | str) else unknown


def _without_repeats(stacks: list[tuple[int, ...]], entries: Entries) -> tuple[list[tuple[int, ...]], Entries]:
    """Make one of stacks whose ids differ and whose frames do not."""
    index: dict[tuple[int, ...], int] = {}
    renamed = [index.setdefault(stack, len(index)) for stack in stacks]
    if len(index) == len(stacks):
        return stacks, entries
    return list(index), Entries([renamed[each] for each in entries.order], entries.counts, entries.problem)


def _stopped(metadata: Mapping[str, object], starts: Sequence[int] | None) -> int | None:
    stopped = metadata.get("stopped_at_us")
    if starts is None or not isinstance(stopped, int) or stopped < starts[-1]:
        return None
    return stopped - starts[0]


def _edges(edges: object) -> Iterable[tuple[object, object]]:
    if isinstance(edges, PackedIntegers):
        flat = edges.decoded()
        return zip(flat[::2], flat[1::2], strict=True)
    return edges.items() if isinstance(edges, dict) else ()


def _totals(listed: Table, size: int, index_of: Mapping[object, int], most: int) -> list[FrameTotals]:
    """What an aggregated dump says of each frame, those of one name, file and line added up."""
    own, whole = [0] * size, [0] * size
    callees: list[dict[int, int]] = [{} for _ in range(size)]
    for key, entry in listed.items():
        if not isinstance(entry, dict):
            continue
        at = index_of[key]
        own[at] += _integer(entry, "samples") or 0
        whole[at] += _integer(entry, "total_samples") or 0
        for callee, calls in _edges(entry.get("edges")):
            to = _place(callee, index_of, -1)
            if to >= 0 and isinstance(calls, int):
                callees[at][to] = callees[at].get(to, 0) + calls
    # Ids that share a name may be on one stack, so their sum can count a sample twice.
    return [FrameTotals(mine, min(all_, most), calls) for mine, all_, calls in zip(own, whole, callees, strict=True)]
