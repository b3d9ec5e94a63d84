from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flamegraph.options import COLORS, LAYOUTS, Colors, Layout, RenderOptions
from flamegraph.profile import Frame
from flamegraph.svg import render
from tests.flamegraph.drawn import FG, SVG, frames_of, texts_of
from tests.flamegraph.profiles import profile
from tests.flamegraph.redraw import BEFORE, GOLDEN, HOSTILE, drawings

PLAIN = RenderOptions()


@pytest.mark.parametrize("name", [*LAYOUTS, "diff", "cut", "crash"])
def test_a_drawing_is_as_it_was(name: str) -> None:
    assert drawings()[name] == (GOLDEN / f"{name}.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("colors", COLORS)
def test_every_layout_in_every_palette_is_sound_xml(layout: Layout, colors: Colors) -> None:
    drawn = frames_of(render(BEFORE, RenderOptions(layout=layout, colors=colors)))

    assert (drawn[0].name, drawn[0].w) == ("all", 101)


def test_a_title_carries_name_samples_percent_file_and_line() -> None:
    found = next(drawn for drawn in frames_of(render(BEFORE, PLAIN)) if drawn.name == "JSON.generate")

    assert (found.said, found.place) == ("21 samples, 20.79%", "/usr/local/lib/ruby/3.2.0/json/common.rb:296")


def test_a_hostile_name_stays_text() -> None:
    svg = render(BEFORE, RenderOptions(title=HOSTILE, subtitle=HOSTILE, count_name=HOSTILE, link=f"https:{HOSTILE}"))

    shown = HOSTILE.replace("\x1b", "␛")
    root = ET.fromstring(svg)  # noqa: S314 our own drawing
    assert root.findtext(f"{SVG}title") == shown
    assert [node.tag for node in root.iter() if node.tag.endswith("svg")] == [f"{SVG}svg"] * 2
    assert [key for node in root.iter() for key in node.attrib if key.startswith("on")] == []
    assert shown in {drawn.name for drawn in frames_of(render(BEFORE, PLAIN))}


@settings(deadline=None)
@given(st.text(st.characters(codec=None), max_size=20), st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_name_and_any_file_is_drawn(name: str, file: str) -> None:
    seen = replace(profile(("x", 3)), frames=[Frame(name, file, 2)])

    assert len(frames_of(render(seen, PLAIN))) == 2


def test_equal_input_gives_equal_bytes() -> None:
    assert render(BEFORE, PLAIN) == render(BEFORE, PLAIN)


def test_nothing_is_fetched() -> None:
    svg = render(BEFORE, PLAIN)

    assert sorted(set(re.findall(r"https?://[^\"' )]+", svg))) == [
        "http://github.com/jonhoo/inferno",
        "http://www.w3.org/1999/xhtml",
        "http://www.w3.org/2000/svg",
    ]
    assert "@import" not in svg
    assert "url(" not in svg


def test_other_tools_find_the_samples() -> None:
    box = ET.fromstring(render(BEFORE, PLAIN)).find(f"{SVG}g/{SVG}g/{SVG}svg[@id='frames']")  # noqa: S314  # our own

    assert box is not None
    assert (box.attrib["total_samples"], box.attrib["x"], box.attrib["width"]) == ("101", "10", "1180")
    widths = [rect.attrib[FG + "w"] == rect.attrib["width"] for rect in box.iter(f"{SVG}rect")]
    assert set(widths) == {True}


def test_without_scripts_names_stand_on_their_frames() -> None:
    assert {"all", "Rack::ETag#call", "CartsController#show", "JSON.generate"} <= set(texts_of(render(BEFORE, PLAIN)))


def test_the_subtitle_says_how_much_was_seen_and_how() -> None:
    assert "101 samples · wall clock every 1 ms · 101.5 ms · 2 missed" in texts_of(render(BEFORE, PLAIN))


def test_notes_and_warnings_of_the_profile_are_shown() -> None:
    shown = texts_of(render(replace(BEFORE, note="frames are what Rails logged", warnings=["cut at 2,048"]), PLAIN))

    assert {"frames are what Rails logged", "cut at 2,048"} <= set(shown)


def test_the_root_is_below_or_on_top_as_the_layout_wants() -> None:
    def base_y(**options: object) -> int:
        return int(re.findall(r'<rect height="16" y="(\d+)"', render(BEFORE, RenderOptions(**options)))[0])  # type: ignore[arg-type]

    assert (base_y(), base_y(inverted=True), base_y(layout="icicle"), base_y(layout="icicle", inverted=True)) == (
        68,
        0,
        0,
        68,
    )


def test_undrawn_frames_are_counted_under_the_picture() -> None:
    assert any(
        text.startswith("3 frames under 12 % are not drawn; search and zoom know them")
        for text in texts_of(render(BEFORE, RenderOptions(min_percent=11.5)))
    )


def test_a_min_percent_of_0_draws_all() -> None:
    seen = profile(("a", 1), ("b", 1_000_000))

    assert [drawn.name for drawn in frames_of(render(seen, PLAIN))] == ["all", "b"]
    assert [drawn.name for drawn in frames_of(render(seen, RenderOptions(min_percent=0)))] == ["all", "a", "b"]


def test_the_first_frame_that_is_not_drawn_is_narrower_than_a_tenth_of_a_pixel() -> None:
    seen = profile(("a", 1), ("b", 11_799))
    under = profile(("a", 1), ("b", 11_800))

    assert [drawn.name for drawn in frames_of(render(seen, PLAIN))] == ["all", "a", "b"]
    assert [drawn.name for drawn in frames_of(render(under, PLAIN))] == ["all", "b"]


def test_nothing_seen_is_an_empty_picture() -> None:
    assert [drawn.name for drawn in frames_of(render(profile(), PLAIN))] == ["all"]


def test_a_large_total_is_drawn_in_small_numbers_that_browsers_can_hold() -> None:
    svg = render(profile(("a", 3_999_999_900), ("b", 100)), RenderOptions(min_percent=0))

    assert 'viewBox="0 0 4000000 34" preserveAspectRatio="none" total_samples="4000000000"' in svg
    assert 'fg:w="100" width="0.1" fg:x="3999999900" x="3999999.9"/>' in svg


def test_fractions_keep_their_digits() -> None:
    drawn = frames_of(render(profile(("a", 0.5), ("b", 1.25)), PLAIN))

    assert [(one.name, one.w, one.said) for one in drawn] == [
        ("all", 1.75, "1.75 samples, 100%"),
        ("a", 0.5, "0.5 samples, 28.57%"),
        ("b", 1.25, "1.25 samples, 71.43%"),
    ]


def test_two_counts_are_drawn_as_a_diff() -> None:
    svg = render(replace(profile(("a", 1), ("b", 2)), weights_after=[3, 1]), PLAIN)

    assert [(drawn.name, drawn.said) for drawn in frames_of(svg)[1:]] == [
        ("a", "3 samples, 75.00%, +2, was 1, +200.0%"),
        ("b", "1 samples, 25.00%, -1, was 2, -50.0%"),
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"layout": "pie"}, "layout is one of flame, icicle, chart, left-heavy, reversed, was 'pie'"),
        ({"colors": "mauve"}, "colors is one of gem, hot, file, safe, was 'mauve'"),
        ({"width": 10}, "width is 300 to 20000 pixels, was 10"),
        ({"min_percent": -1}, "min_percent is at least 0 and below 100, was -1"),
        ({"link": "javascript:alert(1)"}, "link starts with the scheme of an editor or of the web"),
        ({"link": " data:text/html,x"}, "link starts with the scheme of an editor or of the web"),
    ],
)
def test_a_wrong_option_is_named_with_its_rule(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        RenderOptions(**wrong)  # type: ignore[arg-type]
