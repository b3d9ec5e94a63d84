"""Draws a crash: its samples as ever, and through them, in a strip of its own, the way to the exception.

The strip is a share of the width that stands for nothing: frames that were not sampled are as wide as it, sampled ones
on the way wider by it. Titles, totals, percentages, the legend, `fg:x` and `fg:w` leave it out: only `x` and `width` do
not.
"""

from __future__ import annotations

from dataclasses import replace
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from flamegraph import caption, legend, marks
from flamegraph.groups import Share, shares
from flamegraph.layout import lay_out
from flamegraph.palette import paint
from flamegraph.profile import Frame, Raised
from flamegraph.svg import Sheet, Strip, head_height, page
from flamegraph.text import clip, displayed, duration, escape, number, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flamegraph.layout import Picture
    from flamegraph.options import RenderOptions
    from flamegraph.profile import Profile

# The strip takes one part, the samples take so many.
SAMPLES_SHARE: Final = 4
# A wider limit would leave nothing of the strip.
MOST_MIN_PERCENT: Final = 5
_CHAR_PX = 7
_TITLE_CHAR_PX = 11
_LINES_EACH = 3
_WIDE_FROM = "\u1100"


def render(profile: Profile, options: RenderOptions) -> str:
    """Draw a profile with a crash as the options say; equal input gives equal bytes."""
    raised = profile.raised or Raised()
    options = replace(options, min_percent=min(options.min_percent, MOST_MIN_PERCENT))
    total = sum(profile.weights)
    extra: float = (total / SAMPLES_SHARE if total else 1) if raised.stack else 0
    picture = lay_out(_with_way(profile, raised.stack, extra), options)
    stack = raised.stack[::-1] if options.layout == "reversed" else raised.stack
    way = dict(_way(picture, [profile.frames[index] for index in stack]))
    strip = _strip(picture, way, extra)
    palette = paint(options.colors, picture.groups, picture.frames)
    rows = _shares(profile, picture, way)
    lines = _lines(profile, options)
    inner = options.width - 2 * marks.MARGIN
    unit = options.count_name or profile.unit
    numbers = {group: index for index, group in enumerate(picture.groups)}
    lines_of = {profile.frames[index]: line for index, line in raised.lines.items()}
    frames = _draw(picture, palette.frame_classes, unit, way, strip, lines_of, options)
    sheet = Sheet(
        picture=picture,
        palette=palette,
        title=clip(options.title or profile.title, inner // _TITLE_CHAR_PX),
        lines=lines,
        legend=legend.draw(rows, numbers, inner, head_height(lines)),
        legend_height=legend.height(len(rows), inner),
        frames=frames,
        strip=strip,
    )
    return page(sheet, options, unit)


def _with_way(profile: Profile, stack: tuple[int, ...], extra: float) -> Profile:
    """The way as one more entry, the last in time, which weighs what its strip takes."""
    if not stack:
        return profile
    starts = profile.starts_us
    return replace(
        profile,
        stacks=[*profile.stacks, stack],
        order=[*profile.order, len(profile.stacks)],
        weights=[*profile.weights, extra],
        starts_us=None if starts is None else [*starts, caption.length_us(profile)],
        raised=None,
    )


def _way(picture: Picture, stack: Sequence[Frame]) -> Iterator[tuple[int, Frame]]:
    """The spans that lead to the exception, by their indices: in a chart the last of each name."""
    left: float = 0
    right = picture.total
    rows: dict[int, list[int]] = {}
    for index, span in enumerate(picture.spans):
        rows.setdefault(span[0], []).append(index)
    for depth, frame in enumerate(stack, 1):
        for index in reversed(rows.get(depth, ())):
            _, x, weight, number_, _ = picture.spans[index]
            if left <= x and x + weight <= right and picture.frames[number_] == frame:
                left, right = x, x + weight
                yield index, frame
                break
        else:
            return


def _strip(picture: Picture, way: Mapping[int, Frame], extra: float) -> Strip | None:
    """Where the strip is: at the beginning of the last frame on the way, which weighs little else, or nothing."""
    if not way or not extra:
        return None
    _, x, _, _, _ = picture.spans[max(way)]
    return Strip(x, extra)


def _shares(profile: Profile, picture: Picture, way: Mapping[int, Frame]) -> list[Share]:
    """The legend's rows; a group that is only on the way is there too, with nothing."""
    rows = shares(profile)
    known = {row.group for row in rows}
    only = dict.fromkeys(picture.groups[picture.spans[index][4]] for index in way)
    return [*rows, *(Share(group, 0, 0) for group in only if group not in known)]


def _lines(profile: Profile, options: RenderOptions) -> list[str]:
    """What is told of the crash, and every warning, at most some lines of each."""
    said = [options.subtitle] if options.subtitle else [*(profile.raised or Raised()).said]
    chars = (options.width - 2 * marks.MARGIN) // _CHAR_PX
    lines = []
    for text in [*said, profile.note, *profile.warnings]:
        cells = chars // 2 if max(text, default="") >= _WIDE_FROM else chars
        wrapped = [piece for line in text.splitlines() for piece in wrap(line, cells)]
        if len(wrapped) > _LINES_EACH:
            wrapped = [*wrapped[: _LINES_EACH - 1], wrapped[_LINES_EACH - 1][: cells - 1] + "…"]
        lines += wrapped
    return lines or [""]


def _draw(
    picture: Picture,
    classes: Sequence[str],
    unit: str,
    way: Mapping[int, Frame],
    strip: Strip | None,
    lines: Mapping[Frame, int],
    options: RenderOptions,
) -> str:
    """One `<g>` a frame, as `marks.draw_frames` writes them."""
    gap = strip.width if strip else 0
    total = picture.total - gap
    unit = escape(unit)
    divisor = marks.shrink(picture.total)
    wide = 4 * picture.total / (options.width - 2 * marks.MARGIN)
    said = f"{_amount(total, unit)}, 100%" if total else "no samples"
    base = marks.row_y(0, picture.depth, root_on_top=options.root_on_top)
    drawn = [_box("", f"{marks.ROOT_NAME} ({said})", base, (0, total), (0, picture.total), divisor)]
    for index, (depth, x, width, frame_number, group) in enumerate(picture.spans):
        frame = picture.frames[frame_number]
        weight = width - gap if index in way else width
        marked = _marks(index, way, weight)
        names = filter(None, ("wide" if width >= wide else "", *marked, f"g{group}", classes[frame_number]))
        said = f"{_amount(weight, unit)}, {100 * weight / total:.2f}%" if weight else "raised here, not sampled"
        if marked and weight:
            said += ", on the way to the exception"
        at = replace(frame, line=lines.get(frame, frame.line)) if marked else frame
        title = f"{escape(displayed(frame.name))} ({said})" + (f"\n{escape(marks.place(at))}" if at.file else "")
        true_x = x - gap if strip and x >= strip.x + gap else x
        y = marks.row_y(depth, picture.depth, root_on_top=options.root_on_top)
        drawn.append(_box(" ".join(names), title, y, (true_x, weight), (x, width), divisor))
    return "".join(drawn)


def _marks(index: int, way: Mapping[int, Frame], weight: float) -> tuple[str, ...]:
    if index not in way:
        return ()
    if weight:
        return ("way",)
    return ("way", "here", "boom") if index == max(way) else ("way", "here")


def _amount(weight: float, unit: str) -> str:
    return duration(weight) if unit == "microseconds" else f"{number(weight)} {unit}"


def _box(names: str, title: str, y: int, true: tuple[float, float], drawn: tuple[float, float], divisor: int) -> str:
    left, width = (plain(value if divisor == 1 else value / divisor) for value in drawn)
    marked = f' class="{names}"' if names else ""
    return (
        f'<g{marked}><title>{title}</title><rect height="{marks.ROW - 1}" y="{y}" fg:w="{plain(true[1])}"'
        f' width="{width}" fg:x="{plain(true[0])}" x="{left}"/></g>\n'
    )
