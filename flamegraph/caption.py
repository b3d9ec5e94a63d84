"""What a picture says of itself: how much was seen, how, for how long, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flamegraph.text import duration, number

if TYPE_CHECKING:
    from flamegraph.narrow import Table
    from flamegraph.options import RenderOptions
    from flamegraph.profile import Profile

_MODES = {"wall": "wall clock", "cpu": "CPU time", "object": "allocations", "custom": "sampled by hand"}
_ORDERS = {
    "chart": "in the order of time",
    "left-heavy": "heaviest first",
    "reversed": "callers above callees",
}
_NOTES = 4


def lines(profile: Profile, options: RenderOptions) -> list[str]:
    """The subtitle and the notes under it."""
    subtitle = options.subtitle or " · ".join(_facts(profile, options))
    notes = [profile.note, *profile.warnings]
    said = [note for note in notes if note]
    if len(said) > _NOTES:
        said = [*said[:_NOTES], f"and {len(said) - _NOTES} more warnings"]
    return [subtitle, *said]


def _facts(profile: Profile, options: RenderOptions) -> list[str]:
    total = sum(profile.weights)
    facts = [f"{number(total)} {options.count_name or profile.unit}"]
    if profile.mode:
        facts.append(_mode(profile))
    if profile.starts_us:
        facts.append(duration(length_us(profile)))
    if profile.samples is not None:
        facts.append(f"{number(profile.samples)} samples")
    if profile.missed is not None and profile.mode != "object":
        facts.append(f"{number(profile.missed)} missed")
    if options.layout in _ORDERS:
        facts.append(_ORDERS[options.layout])
    return facts


def _mode(profile: Profile) -> str:
    mode = _MODES.get(profile.mode, profile.mode)
    if not profile.interval:
        return mode
    if profile.mode == "object":
        return f"{mode}, 1 of {number(profile.interval)}"
    return f"{mode} every {duration(profile.interval)}"


def length_us(profile: Profile) -> int:
    """How long a profile with times lasted, in microseconds; the last sample without an end lasts one interval."""
    if not profile.starts_us:
        return 0
    if profile.stopped_us is not None:
        return profile.stopped_us
    return profile.starts_us[-1] + (profile.interval or 0)


def foot(table: Table, options: RenderOptions) -> str:
    """What was not drawn, or nothing where all was."""
    undrawn = table.kept + table.missing
    if not undrawn:
        return ""
    said = f"{number(undrawn)} frames under {options.min_percent:.2g} % are not drawn; search and zoom know "
    if not table.missing:
        return f"{said}them"
    return f"{said}{number(table.kept)} of them, {number(table.missing)} are missing"
