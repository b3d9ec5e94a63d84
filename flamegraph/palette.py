"""The colours: one hue a group, a hue a file, warm ones or ones for every eye; the same in every run.

Hues are chosen in OKLCH (Björn Ottosson, 2020), where equal lightness looks equally light, so that one ink is
readable on all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians, sin
from typing import TYPE_CHECKING
from zlib import crc32

from flamegraph.groups import APP, FRAMEWORK, GC, STDLIB, SYSTEM, UNKNOWN, gem_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from flamegraph.options import Colors
    from flamegraph.profile import Frame

# Shades of one hue, by opacity over the background: lighter by day, darker by night.
SHADES = ("", "b", "c")

# Steps of a diff's colours on either side of no change.
STEPS = 8

_BUCKETS = 24
_STEPS = 18
# Hues are left out from here on: a match of the search is magenta.
_HUES_END = 318

# (hue, chroma) of the groups that are no gems, and of the gems that a Rails app always shows.
_KNOWN = {
    APP: (45, 0.15),
    STDLIB: (250, 0.045),
    SYSTEM: (250, 0.012),
    GC: (15, 0.05),
    FRAMEWORK: (290, 0.03),
    UNKNOWN: (80, 0.05),
    "activerecord": (255, 0.105),
    "arel": (265, 0.105),
    "activemodel": (232, 0.095),
    "activesupport": (160, 0.085),
    "actionpack": (290, 0.095),
    "actionview": (125, 0.105),
    "actioncable": (305, 0.09),
    "activejob": (215, 0.09),
    "actionmailer": (180, 0.09),
    "activestorage": (240, 0.08),
    "railties": (310, 0.075),
    "rack": (195, 0.095),
    "puma": (105, 0.1),
    "i18n": (95, 0.12),
    "sidekiq": (140, 0.11),
    "pg": (270, 0.09),
    "mysql2": (222, 0.1),
    "sqlite3": (205, 0.075),
    "redis": (25, 0.09),
    "concurrent-ruby": (65, 0.08),
    "erubi": (112, 0.08),
    "nokogiri": (85, 0.1),
    "json": (75, 0.1),
}

# Paul Tol's "bright" and "light" schemes, which eyes of every kind tell apart: by day, by night.
_SAFE = (
    ("#99ddff", "#22607d"),
    ("#77aadd", "#2f5680"),
    ("#44bb99", "#1b6450"),
    ("#bbcc33", "#5b6410"),
    ("#aaaa00", "#5a5a00"),
    ("#eedd88", "#6f601a"),
    ("#ffaabb", "#7d3445"),
    ("#bbbbdd", "#4f4f72"),
)
_SAFE_KNOWN = {
    APP: ("#ee8866", "#8a3d20"),
    STDLIB: ("#dddddd", "#4d4d4d"),
    SYSTEM: ("#c8c8c8", "#434343"),
    UNKNOWN: ("#eedd88", "#6f601a"),
    GC: ("#bbaaaa", "#5c4a4a"),
    FRAMEWORK: ("#d2d0e2", "#484658"),
}


@dataclass(frozen=True, slots=True)
class Palette:
    """The class of each frame beside that of its group, and the rules that colour them by day and by night."""

    frame_classes: Sequence[str]
    by_day: str
    by_night: str


def paint(colors: Colors, groups: Sequence[str], frames: Sequence[Frame]) -> Palette:
    """Choose the colours of a picture. Without any file there is nothing to tell groups by: it is drawn hot."""
    if colors in ("gem", "safe") and {UNKNOWN, GC, FRAMEWORK}.issuperset(groups):
        colors = "hot"
    match colors:
        case "hot":
            return _buckets([frame.name for frame in frames], _hot)
        case "file":
            return _buckets([frame.file or frame.name for frame in frames], _spread)
        case _:
            pairs = [_safe(group) if colors == "safe" else group_colors(group) for group in groups]
            classes = [SHADES[crc32(frame.name.encode(errors="replace")) % len(SHADES)] for frame in frames]
            shade = ".b{fill-opacity:.86}.c{fill-opacity:.72}"
            day = "".join(f".g{index}{{fill:{pair[0]}}}" for index, pair in enumerate(pairs))
            night = "".join(f".g{index}{{fill:{pair[1]}}}" for index, pair in enumerate(pairs))
            return Palette(classes, day + shade, night)


def group_colors(group: str) -> tuple[str, str]:
    """A group's colour by day and by night, chosen by its name alone."""
    name = gem_name(group)
    known = _KNOWN.get(group) or _KNOWN.get(name)
    if known is None:
        seed = crc32(name.encode(errors="replace"))
        known = (60 + seed % _STEPS * (_HUES_END - 60) // _STEPS, (0.075, 0.1, 0.12)[seed // _STEPS % 3])
    hue, chroma = known
    strong = group == APP
    return oklch(0.76 if strong else 0.82, chroma, hue), oklch(0.47 if strong else 0.42, chroma * 0.85, hue)


def red_blue() -> Palette:
    """The colours of a diff: red for more, blue for less, the stronger the larger the change."""
    day, night = [".s0{fill:#e9ebee}"], [".s0{fill:#2b3138}"]
    for name, hue in (("r", 27), ("u", 252)):
        for step in range(1, STEPS + 1):
            share = step / STEPS
            day.append(f".{name}{step}{{fill:{oklch(0.94 - 0.26 * share, 0.02 + 0.14 * share, hue)}}}")
            night.append(f".{name}{step}{{fill:{oklch(0.3 + 0.2 * share, 0.03 + 0.13 * share, hue)}}}")
    return Palette((), "".join(day), "".join(night))


def oklch(lightness: float, chroma: float, hue: float) -> str:
    """The colour as `#rrggbb`; what the screen cannot show is cut to what it can."""
    a, b = chroma * cos(radians(hue)), chroma * sin(radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    channels = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{_gamma(channel):02x}" for channel in channels)


def _gamma(channel: float) -> int:
    linear = min(max(channel, 0.0), 1.0)
    curved = 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    return round(255 * curved)


def _safe(group: str) -> tuple[str, str]:
    return _SAFE_KNOWN.get(group) or _SAFE[crc32(gem_name(group).encode(errors="replace")) % len(_SAFE)]


def _hot(step: int) -> tuple[str, str]:
    hue = 28 + step * 70 / _BUCKETS
    return oklch(0.74 + step * 0.13 / _BUCKETS, 0.13, hue), oklch(0.42 + step * 0.06 / _BUCKETS, 0.11, hue)


def _spread(step: int) -> tuple[str, str]:
    hue = step * _HUES_END / _BUCKETS
    return oklch(0.82, 0.09, hue), oklch(0.43, 0.085, hue)


def _buckets(keys: Sequence[str], color: Callable[[int], tuple[str, str]]) -> Palette:
    numbers = [crc32(key.encode(errors="replace")) % _BUCKETS for key in keys]
    pairs = [(number, color(number)) for number in sorted(set(numbers))]
    day = "".join(f".h{number}{{fill:{pair[0]}}}" for number, pair in pairs)
    night = "".join(f".h{number}{{fill:{pair[1]}}}" for number, pair in pairs)
    return Palette([f"h{number}" for number in numbers], day, night)
