"""Guess what an input is from its content, and read it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from itertools import chain
from typing import Final, Protocol

from flamegraph.profile import Profile, ProfileError

# Readers that take a kind of content, each asked in turn; the first byte that is not blank tells the kinds apart.
BY_FIRST_BYTE: Final = {
    b"\x04": ("stackprof",),
    b"{": ("crash", "rails_log", "speedscope", "vernier", "stackprof_json", "folded"),
    b"<": ("mini_profiler", "folded"),
}
OTHERS: Final = ("stackprof_timeline", "rails_log", "folded")
# Without one of these near its beginning an input need not ask the reader, whose patterns take long to prepare.
ANY: Final = (b"",)
MARKS: Final = {
    "crash": (b'"stoker_crash"',),
    "mini_profiler": (b"<html", b"<HTML", b"<!doctype", b"<!DOCTYPE", b"<head", b"<script"),
    "stackprof_timeline": (b"flamegraph([",),
    "rails_log": (b"# Logfile created on", b", [", b"Started ", b'{"'),
}
FORMATS: Final = (
    "stackprof",
    "stackprof_json",
    "stackprof_timeline",
    "mini_profiler",
    "speedscope",
    "vernier",
    "folded",
    "rails_log",
    "crash",
)
# Options that choose something inside a file, and which formats have it. One profile alone is also the first and all.
CHOOSING: Final = {
    "since": ("rails_log",),
    "path": ("rails_log",),
    "exception": ("rails_log",),
    "profile": ("speedscope", "vernier"),
}
NO_CHOICE: Final = ("", "0", "all")
# Sums and products of such numbers are still floats; JSON and Marshal can hold larger integers.
LARGEST: Final = 10**100
HUGE: Final = "a count or a time of more than 100 digits, which nothing can be"
# What people bring and nobody can draw, by how it begins, and what to bring instead.
REFUSED: Final = {
    b"rbspy": "a raw recording of rbspy: give `rbspy report -i FILE -f speedscope` or `-f collapsed` instead",
    b"<svg": "an SVG: give the profile from which it was drawn",
    b"<?xml": "XML, perhaps a picture: give the profile from which it was drawn",
    b"digraph": "a graph for Graphviz, which holds no stacks: give the stackprof dump itself",
    b"creator: stackprof": "callgrind's format, which holds no stacks: give the stackprof dump itself",
    b"version: 1": "callgrind's format, which holds no stacks: give the stackprof dump itself",
}


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read: the format instead of a guess, which of several profiles, and what of a log.

    Where `ordered` is False, equal stacks may come as one entry, which is faster, and times are not known.
    `since` is an ISO time and `path` the beginning of a request's path; `exception` is a class's name.
    """

    format: str = ""
    profile: str = ""
    ordered: bool = True
    since: str = ""
    path: str = ""
    exception: str = ""


class Reader(Protocol):
    """What each module of this folder is."""

    NAME: str

    def detect(self, data: bytes) -> bool:
        """Whether the bytes look like the module's format."""

    def read(self, data: bytes, options: ReadOptions) -> Profile:
        """Read them, or raise ProfileError."""


def read(data: bytes, options: ReadOptions) -> Profile:
    """Read a profile of any format, gzipped or in UTF-16 too."""
    from flamegraph.readers.unpack import plain

    data = plain(data)
    reader = find(data, options.format)
    for option, readers in CHOOSING.items():
        wish = getattr(options, option)
        if wish not in NO_CHOICE and reader.NAME not in readers:
            raise ProfileError(f"--{option} {wish} chooses in a file of {' or '.join(readers)}, this is {reader.NAME}")
    try:
        profile = reader.read(data, options)
    except OverflowError:
        raise ProfileError(HUGE) from None
    if _largest(profile) > LARGEST:
        raise ProfileError(HUGE)
    return profile


def _largest(profile: Profile) -> float:
    times = (profile.interval or 0, profile.stopped_us or 0, *(profile.starts_us or ())[-1:])
    totals = (max(each.self_samples, each.total_samples) for each in profile.totals)
    return max(chain(times, totals, profile.weights, profile.weights_after or ()))


def find(data: bytes, name: str = "") -> Reader:
    """The reader for these bytes, or the named one."""
    if name:
        if name.replace("-", "_") not in FORMATS:
            known = ", ".join(FORMATS).replace("_", "-")
            raise ProfileError(f"no format is called {name!r}; there are {known}")
        return _reader(name.replace("-", "_"))
    head = data[:4096].lstrip()
    if not head:
        raise ProfileError("empty")
    for start, what in REFUSED.items():
        if head.startswith(start):
            raise ProfileError(what)
    beginning = data[: 1 << 16]
    for each in BY_FIRST_BYTE.get(head[:1], OTHERS):
        if any(mark in beginning for mark in MARKS.get(each, ANY)) and _reader(each).detect(data):
            return _reader(each)
    raise ProfileError("not a profile of any known format")


def _reader(name: str) -> Reader:
    reader: Reader = import_module(f"flamegraph.readers.{name}")
    return reader
