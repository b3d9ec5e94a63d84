from __future__ import annotations

import re
from pathlib import Path

import pytest

from flamegraph.options import COLORS, Colors
from flamegraph.palette import SHADES, group_colors, oklch, paint, red_blue
from flamegraph.profile import Frame

GROUPS = ["no file", "app", "stdlib", "system", "GC", "rack 2.2", "pg 1.5", "devise 4.9", "sidekiq 7.1", "unheard-of 1"]
FRAMES = [Frame(f"M#{letter}", f"app/{letter}.rb") for letter in "abcdefghijklmnopqrstuvwxyz"]
CSS = (Path(__file__).parents[2] / "flamegraph/assets/page.css").read_text()
INK_BY_DAY, INK_BY_NIGHT = re.findall(r"#labels text\{[^}]*fill:(#\w{6})", CSS)
BACK_BY_DAY, BACK_BY_NIGHT = re.findall(r"#back\{fill:(#\w{3,6})\}", CSS)


def luminance(color: str) -> float:
    digits = color[1:] if len(color) == 7 else "".join(digit * 2 for digit in color[1:])
    linear = []
    for start in (0, 2, 4):
        part = int(digits[start : start + 2], 16) / 255
        linear.append(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colors", COLORS)
def test_names_are_readable_on_every_colour_by_day_and_by_night(colors: Colors) -> None:
    palette = paint(colors, GROUPS, FRAMES)

    for rules, ink in ((palette.by_day, INK_BY_DAY), (palette.by_night, INK_BY_NIGHT)):
        fills = re.findall(r"\{fill:(#\w{6})\}", rules)
        assert fills
        assert [fill for fill in fills if contrast(fill, ink) < 4.5] == []


def test_names_are_readable_on_every_step_of_a_diff() -> None:
    palette = red_blue()

    for rules, ink in ((palette.by_day, INK_BY_DAY), (palette.by_night, INK_BY_NIGHT)):
        assert [fill for fill in re.findall(r"fill:(#\w{6})", rules) if contrast(fill, ink) < 4.5] == []


@pytest.mark.parametrize(("selector", "least"), [(r"text[^{]*", 7), (r"\.m,\.m text[^{]*", 4.5)])
def test_the_words_around_are_readable(selector: str, least: float) -> None:
    day, night = re.findall(rf"^{selector}\{{[^}}]*?fill:(#\w{{6}})", CSS, re.MULTILINE)

    assert contrast(day, BACK_BY_DAY) >= least
    assert contrast(night, BACK_BY_NIGHT) >= least


def test_a_gem_keeps_its_colour_whatever_stands_beside_it_and_over_versions() -> None:
    assert group_colors("rack 2.2.8") == group_colors("rack 3.1.0")
    assert group_colors("unheard-of 1.0") == group_colors("unheard-of 2.0")
    assert group_colors("app") != group_colors("rack 3.1.0")


def test_a_frame_keeps_its_shade() -> None:
    first = paint("gem", GROUPS, [FRAMES[0]]).frame_classes[0]

    assert first == paint("gem", GROUPS, FRAMES).frame_classes[0]
    assert first in SHADES


def test_without_any_file_names_are_drawn_hot() -> None:
    assert paint("gem", ["no file", "GC"], FRAMES) == paint("hot", ["no file", "GC"], FRAMES)


def test_frames_of_one_file_have_one_colour() -> None:
    classes = paint("file", GROUPS, [Frame("a", "x.rb"), Frame("b", "x.rb"), Frame("c", "y.rb")]).frame_classes

    assert classes[0] == classes[1] != classes[2]


def test_colours_are_those_of_oklch() -> None:
    assert oklch(1, 0, 0) == "#ffffff"
    assert oklch(0, 0, 0) == "#000000"
    assert oklch(0.628, 0.2577, 29.23) == "#ff0000"


def test_no_group_looks_like_a_match_of_the_search() -> None:
    hit = re.findall(r"\.hit\{fill:(#\w{6})", CSS)
    assert len(hit) == 2
    for group in GROUPS:
        for mine, match in zip(group_colors(group), hit, strict=True):
            distance = sum(abs(int(mine[i : i + 2], 16) - int(match[i : i + 2], 16)) for i in (1, 3, 5))
            assert distance > 80
