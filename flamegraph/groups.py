"""Whose code a frame is: the app's, a gem's, Ruby's standard library's, the system's or the garbage collector's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flamegraph import collector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flamegraph.profile import Frame, Profile

APP = "app"
STDLIB = "stdlib"
SYSTEM = "system"
GC = "GC"
FRAMEWORK = "framework"
UNKNOWN = "no file"

# What stands for folded frames of the framework: their time is neither their caller's nor one gem's.
FOLDED = ("(Rack middleware, folded)", "(framework plumbing, folded)")
# The folder below `gems/` is a gem's only if it starts with a letter: `ruby/gems/3.1.0/gems/json-2.6.1` holds two.
_GEM = re.compile(r"(?:^|/)(?P<git>bundler/)?gems/(?P<gem>[A-Za-z_][^/]*)/")
_VERNIER_GEM = re.compile(r"^gem:(?P<gem>[^:]+):")
# How Rails' backtrace cleaner writes a gem's file: `rack (2.2.22) lib/rack/head.rb`.
_LOGGED_GEM = re.compile(r"^(?P<gem>[A-Za-z_][\w.-]*) \((?P<version>\d[\w.]*)\) ")
_VERSIONED = re.compile(r"(?P<name>.+?)-(?P<version>\d[\w.]*)(?:-.+)?")
_GIT_NAME = re.compile(r"(?P<name>.+)-[0-9a-f]{7,40}")
_STDLIB = re.compile(r"^rubylib:|/(?:ruby|rubinius)/(?:\d+\.\d+(?:\.\d+)?|truffle)/(?!bundler/gems/)|/lib/ruby/stdlib/")
_SYSTEM = re.compile(r"^(?:/(?:usr|lib|lib64|opt|etc|bin|sbin|nix|Library|System|home/linuxbrew)/|[A-Z]:[\\/]Ruby)")
_EVAL = re.compile(r"^\(eval at (?P<file>.+):\d+\)$")


@dataclass(frozen=True, slots=True)
class Share:
    """What one group weighs: `own` counts stacks that end in it, `total` those that pass through it."""

    group: str
    own: int | float
    total: int | float


def gem_name(group: str) -> str:
    """The gem without its version, so that its colour outlives an upgrade."""
    return group.rsplit(" ", 1)[0]


def group_of(frame: Frame) -> str | None:
    """The group of a frame by its file; None where the frame counts for its caller's group.

    These are C functions, `<internal:` ones, evaluated text and frames without a file. A gem's group is its name
    and version, `rack 2.2.22`; a gem from git has no version, only its name.
    """
    if frame.name in collector.NAMES:
        return GC
    if frame.name in FOLDED:
        return FRAMEWORK
    file = frame.file
    if evaluated := _EVAL.match(file):
        file = evaluated["file"]
    if not file or file[0] in "<(":
        return None
    return _gem(file) or _place(file)


def _place(file: str) -> str:
    if _STDLIB.search(file):
        return STDLIB
    return SYSTEM if _SYSTEM.match(file) else APP


def _gem(file: str) -> str | None:
    found = _VERNIER_GEM.match(file)
    if found:
        return _label(found["gem"])
    if logged := _LOGGED_GEM.match(file):
        return f"{logged['gem']} {logged['version']}"
    matches = list(_GEM.finditer(file))
    if not matches:
        return None
    if matches[0]["git"]:
        folder = matches[0]["gem"]
        git = _GIT_NAME.fullmatch(folder)
        return git["name"] if git else folder
    versioned = (match["gem"] for match in matches if _VERSIONED.fullmatch(match["gem"]))
    return _label(next(versioned, matches[0]["gem"]))


def _label(folder: str) -> str:
    parts = _VERSIONED.fullmatch(folder)
    return f"{parts['name']} {parts['version']}" if parts else folder


def classify(frames: Sequence[Frame]) -> tuple[list[str], list[int]]:
    """The groups that occur, and for each frame the index of its own one, or -1 where its caller's counts.

    Group 0 is that of frames which have no caller with a group.
    """
    groups = {UNKNOWN: 0}
    by_file: dict[str, str | None] = {}
    own = []
    for frame in frames:
        if frame.file in by_file:
            group = by_file[frame.file]
        else:
            group = group_of(frame)
            if frame.file:
                by_file[frame.file] = group
        own.append(-1 if group is None else groups.setdefault(group, len(groups)))
    return list(groups), own


def stack_weights(profile: Profile) -> list[int | float]:
    """What each different stack of a profile weighs in all."""
    sums: list[int | float] = [0] * len(profile.stacks)
    for stack, weight in zip(profile.order, profile.weights, strict=True):
        sums[stack] += weight
    return sums


def shares(profile: Profile) -> list[Share]:
    """Every group that a profile shows, the heaviest by its own weight first."""
    groups, own = classify(profile.frames)
    self_weight: list[int | float] = [0] * len(groups)
    total: list[int | float] = [0] * len(groups)
    group_at = own.__getitem__
    for stack, weight in zip(profile.stacks, stack_weights(profile), strict=True):
        seen = set(map(group_at, stack))
        seen.discard(-1)
        leaf = next((group for group in map(group_at, reversed(stack)) if group >= 0), 0)
        self_weight[leaf] += weight
        # Frames above the first group that is known count for group 0.
        if not stack or own[stack[0]] < 0:
            seen.add(0)
        for group in seen:
            total[group] += weight
    found = [Share(*row) for row in zip(groups, self_weight, total, strict=True) if row[2]]
    return sorted(found, key=lambda share: (-share.own, -share.total, share.group))
