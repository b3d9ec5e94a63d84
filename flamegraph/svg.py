"""Writes a picture as one SVG that needs nothing else: no network, no font, and no script to be complete."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flamegraph import axis, caption, legend, marks, narrow
from flamegraph.groups import shares
from flamegraph.layout import Picture, lay_out
from flamegraph.palette import Palette, paint
from flamegraph.text import escape, plain

if TYPE_CHECKING:
    from flamegraph.options import RenderOptions
    from flamegraph.profile import Profile

# The parts of the script, which share one function.
_SCRIPTS = ("model", "drawing", "page", "state", "events")
_START = '((root)=>addEventListener("DOMContentLoaded",()=>{"use strict";'
_END = '}))(document.currentScript.closest("svg"));'
# A string, or a sign with spaces around it.
_SPACED = re.compile(r"""("[^"\n]*"|'[^'\n]*') *| *([{}()=,:;?<>|&!]+) *""")
_HEAD = 56
_NOTE = 16
_FOOT = 30


@dataclass(frozen=True, slots=True)
class Strip:
    """A part of the x axis that stands for nothing, through which the way to an exception is drawn."""

    x: int | float
    width: int | float


@dataclass(frozen=True, slots=True)
class Sheet:
    """The parts of a page, drawn already: what stands over the frames, the frames, what stands under them."""

    picture: Picture
    palette: Palette
    title: str
    lines: list[str]
    legend: str
    legend_height: int
    frames: str
    below: str = ""
    below_height: int = 0
    strip: Strip | None = None


def render(profile: Profile, options: RenderOptions) -> str:
    """Draw a profile as the options say; equal input gives equal bytes. One with two counts a stack is a diff."""
    if profile.weights_after is not None:
        from flamegraph.comparison import split
        from flamegraph.diff import render_diff

        return render_diff(*split(profile), options)
    if profile.raised is not None:
        from flamegraph.crash_svg import render as render_crash

        return render_crash(profile, options)
    picture = lay_out(profile, options)
    palette = paint(options.colors, picture.groups, picture.frames)
    rows = shares(profile)
    numbers = {group: index for index, group in enumerate(picture.groups)}
    lines = caption.lines(profile, options)
    unit = options.count_name or profile.unit
    inner = options.width - 2 * marks.MARGIN
    sheet = Sheet(
        picture=picture,
        palette=palette,
        title=options.title or profile.title or "Flame graph",
        lines=lines,
        legend=legend.draw(rows, numbers, inner, head_height(lines)),
        legend_height=legend.height(len(rows), inner),
        frames=marks.draw_frames(picture, palette.frame_classes, unit, inner, root_on_top=options.root_on_top),
    )
    return page(sheet, options, unit)


def head_height(lines: list[str]) -> int:
    """How high the title, the subtitle and the notes are together."""
    return _HEAD + _NOTE * (len(lines) - 1)


def page(sheet: Sheet, options: RenderOptions, unit: str) -> str:
    """Put the parts together, with the styles and the script."""
    picture = sheet.picture
    table = narrow.tabulate(picture)
    foot = caption.foot(table, options)
    inner = options.width - 2 * marks.MARGIN
    top = head_height(sheet.lines) + sheet.legend_height
    rows = (picture.depth + 1) * marks.ROW
    ticks = axis.draw(picture.knots, picture.total, inner, rows + axis.HEIGHT)
    shift = axis.HEIGHT if ticks else 0
    height = top + shift + rows + _FOOT + sheet.below_height
    notes = "".join(
        f'<text class="m" x="{marks.MARGIN}" y="{46 + _NOTE * index}">{escape(line)}</text>\n'
        for index, line in enumerate(sheet.lines)
    )
    labels = marks.draw_labels(picture, inner, root_on_top=options.root_on_top)
    whole = plain(picture.total - sheet.strip.width if sheet.strip else picture.total)
    scripts = _SCRIPTS[:2] + (("axis",) if ticks else ()) + _SCRIPTS[2:]
    script = "\n".join(_asset(f"{name}.js") for name in scripts)
    style = _asset("page.css") + ("\n" + _asset("axis.css") if ticks else "")
    style += "\n" + _asset("crash.css") if sheet.strip else ""
    across = plain(picture.total / marks.shrink(picture.total))
    summary = f"{escape(sheet.title)}, {whole} {escape(unit)}"
    # The namespace is a name out of inferno's format, by which other tools find `fg:x` and `fg:w`; nothing is fetched.
    # The script and the styles stand first: gzip then packs the frames better. So the script waits for the frames.
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:fg="http://github.com/jonhoo/inferno" version="1.1"'
        f' width="{options.width}" height="{height}" viewBox="0 0 {options.width} {height}"'
        f"{_data(sheet, options, unit)}>\n"
        f"<title>{escape(sheet.title)}</title>\n<script><![CDATA[\n{_START}\n{script}\n{_END}\n]]></script>\n"
        f"<style>{style}{sheet.palette.by_day}"
        f"@media screen and (prefers-color-scheme:dark){{{sheet.palette.by_night}}}</style>\n"
        f'<metadata id="narrow">{table.entries}</metadata><metadata id="names">{table.names}</metadata>\n'
        f'<rect id="back" width="100%" height="100%"/>\n'
        f'<text id="title" x="{marks.MARGIN}" y="26">{escape(sheet.title)}</text>\n{notes}{sheet.legend}'
        f'<g id="body" transform="translate(0 {top})">\n{ticks}<g transform="translate(0 {shift})">\n'
        f'<svg id="frames" x="{marks.MARGIN}" width="{inner}" height="{rows}" viewBox="0 0 {across} {rows}"'
        f' preserveAspectRatio="none" total_samples="{whole}" role="tree" aria-label="{summary}">\n'
        f'{sheet.frames}</svg>\n<g id="labels" aria-hidden="true">\n{labels}</g></g>\n'
        f'<g id="below" transform="translate({marks.MARGIN} {shift + rows})">'
        f'<text class="m" y="18">{foot}</text>{sheet.below}</g></g>\n</svg>\n'
    )


def _data(sheet: Sheet, options: RenderOptions, unit: str) -> str:
    given = {"unit": unit, "link": options.link, "fluid": "1" if options.fluid else ""}
    if sheet.strip:
        given["strip"] = f"{plain(sheet.strip.x)} {plain(sheet.strip.width)}"
    if options.root_on_top:
        given["down"] = "1"
    return "".join(f' data-{key}="{escape(value)}"' for key, value in given.items() if value)


def _asset(name: str) -> str:
    """A file of the assets without its comment lines and indents, a script also without the spaces around signs.

    The files are written so that this is safe: comments on lines of their own, no space beside a sign in a pattern.
    """
    # pathlib and importlib.resources would each cost more to import than the whole drawing of a small profile.
    with open(os.path.join(os.path.dirname(__file__), "assets", name), encoding="utf-8") as file:  # noqa: PTH118,PTH120,PTH123
        text = file.read()
    lines = (line.strip() for line in text.splitlines())
    kept = "\n".join(line for line in lines if line and not line.startswith(("//", "/*")))
    return _SPACED.sub(lambda found: found[1] or found[2], kept) if name.endswith(".js") else kept
