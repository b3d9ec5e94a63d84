from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

import flamegraph
from flamegraph.crash_depth import DEEP
from flamegraph.options import LAYOUTS, Layout
from tests.flamegraph.crash_documents import RECORDED, document, profile_of, recorded, table
from tests.flamegraph.drawn import SVG, frames_of, texts_of

SEEN = document(table((1000, (1, 2, 4)), (2000, (1, 2, 3))))
HOSTILE = "<script>alert(1)</script> & \x1b[31m\x00 \u202egnp\r\n]]>"


def way(svg: str) -> list[tuple[int, str]]:
    return [(drawn.depth, drawn.name) for drawn in frames_of(svg) if "way" in drawn.classes.split()]


def test_the_way_is_marked_from_the_root_to_the_exception() -> None:
    svg = flamegraph.render(profile_of(SEEN))

    assert [
        (1, "Puma::Server#run"),
        (2, "CartsController#show"),
        (3, "Cart#total"),
        (4, "price cart.rb:31"),
        (5, "KeyError"),
    ] == way(svg)
    assert ["price cart.rb:31", "KeyError"] == [each.name for each in frames_of(svg) if "here" in each.classes.split()]


def test_totals_and_percentages_leave_the_way_out() -> None:
    drawn = {each.name: (each.said, each.w) for each in frames_of(flamegraph.render(profile_of(SEEN)))}

    assert ("10 ms, 100%", 10_000) == drawn["all"]
    assert ("8 ms, 80.00%", 8000) == drawn["Kernel#sleep"]
    assert ("2 ms, 20.00%, on the way to the exception", 2000) == drawn["Cart#total"]
    assert ("raised here, not sampled", 0) == drawn["KeyError"]
    assert 'total_samples="10000"' in flamegraph.render(profile_of(SEEN))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", RECORDED)
def test_with_and_without_its_exception_a_crash_shows_the_same_weights(name: str, layout: Layout) -> None:
    import json

    value = json.loads(recorded(name))
    if value["exception"]["frames"] > DEEP:
        return  # where its root is lost, a stack finds it in the backtrace

    def shown(value: object) -> list[tuple[int, str, float]]:
        svg = flamegraph.render(profile_of(value), layout=layout, min_percent=0)
        return sorted((each.depth, each.name, each.w) for each in frames_of(svg) if each.w)

    assert shown(value | {"exception": None}) == shown(value)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", RECORDED)
def test_the_strip_is_a_fifth_of_the_width_in_every_layout(name: str, layout: Layout) -> None:
    svg = flamegraph.render(flamegraph.read(recorded(name)), layout=layout)
    root = ET.fromstring(svg)  # noqa: S314 our own drawing
    box = root.find(f".//{SVG}svg[@id='frames']")
    assert box is not None
    across = float(box.attrib["viewBox"].split()[2])
    left, wide = map(float, root.attrib["data-strip"].split())
    groups = [group for group in box if "way" in group.attrib.get("class", "").split()]
    rects = [group.find(f"{SVG}rect") for group in groups]

    assert wide / across == pytest.approx(1 if float(box.attrib["total_samples"]) == 0 else 0.2)
    assert all(
        float(rect.attrib["x"]) <= left and left + wide <= float(rect.attrib["x"]) + float(rect.attrib["width"]) + 1e-3
        for rect in rects
        if rect is not None
    )


def test_a_backtrace_alone_fills_the_width_and_the_legend_names_its_groups() -> None:
    svg = flamegraph.render(profile_of(document(unprofiled="busy")))

    assert ["run server.rb:12", "show cart.rb:5", "block in total cart.rb:22", "price cart.rb:31", "KeyError"] == [
        name for _, name in way(svg)
    ]
    assert {"no samples"} == {each.said for each in frames_of(svg) if each.name == "all"}
    assert {"app", "puma 6.6.0", "backtrace only: busy"} <= set(texts_of(svg))


def test_neither_samples_nor_an_exception_is_an_empty_picture_that_says_so() -> None:
    svg = flamegraph.render(profile_of(document(exception=None, why="status", unprofiled="busy")))

    assert ["all"] == [each.name for each in frames_of(svg)]
    assert "neither samples nor a backtrace: busy" in texts_of(svg)


def test_a_hostile_document_stays_text() -> None:
    exception = {"class": HOSTILE, "message": HOSTILE, "backtrace": [f"{HOSTILE}:3:in `{HOSTILE}'"], "frames": 1}
    request = {"method": HOSTILE, "path": HOSTILE}
    svg = flamegraph.render(profile_of(document(exception=exception, request=request, host=HOSTILE)))
    root = ET.fromstring(svg)  # noqa: S314 our own drawing

    assert ["script"] == [node.tag.removeprefix(SVG) for node in root.iter() if "script" in node.tag]
    assert [] == [key for node in root.iter() for key in node.attrib if key.startswith("on")]
    assert "\x1b" not in svg
    assert "\u202e" not in svg


def test_a_long_message_is_cut_after_three_lines() -> None:
    exception = {"class": "E", "message": "word " * 1000, "backtrace": [], "frames": 0}
    said = [text for text in texts_of(flamegraph.render(profile_of(document(exception=exception)))) if "word" in text]

    assert 3 == len(said)
    assert said[2].endswith("…")


def test_a_frame_on_the_way_says_the_line_that_failed() -> None:
    drawn = {each.name: each.place for each in frames_of(flamegraph.render(profile_of(SEEN)))}

    assert "/srv/app/cart.rb:5" == drawn["CartsController#show"]


def test_equal_input_gives_equal_bytes() -> None:
    assert flamegraph.render(profile_of(SEEN)) == flamegraph.render(profile_of(SEEN))
