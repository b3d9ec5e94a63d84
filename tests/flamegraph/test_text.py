from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamegraph.text import clip, duration, escape, number, plain, shorten


def test_markup_in_a_name_stays_text() -> None:
    name = """</script><svg onload="alert('&')">"""

    assert ET.fromstring(f"<t>{escape(name)}</t>").text == name  # noqa: S314  # our own


def test_control_characters_are_shown_as_their_pictures() -> None:
    assert escape("a\x1b[1m\nb\x7f\x85") == "a␛[1m␊b␡�"


def test_marks_that_turn_the_direction_of_text_are_replaced() -> None:
    assert escape("user\u202egnp.exe") == "user�gnp.exe"


@given(st.text(st.characters(codec=None)))
def test_whatever_is_escaped_is_sound_xml_and_encodes(text: str) -> None:
    escaped = escape(text)

    assert len(ET.fromstring(f'<t a="{escaped}">{escaped}</t>'.encode()).text or "") == len(text)  # noqa: S314  # our own


@pytest.mark.parametrize(
    ("cells", "label"),
    [
        (40, "ActiveRecord::Relation#exec_queries"),
        (34, "Relation#exec_queries"),
        (20, "#exec_queries"),
        (8, "#exec_q…"),
        (2, ""),
    ],
)
def test_a_label_keeps_the_method_longest(cells: int, label: str) -> None:
    assert label == shorten("ActiveRecord::Relation#exec_queries", cells)


def test_a_wide_character_takes_two_cells() -> None:
    assert clip("日本語の名前", 12) == "日本語の名前"
    assert clip("日本語の名前", 9) == "日本語の…"


@given(st.text(max_size=60), st.integers(0, 40))
def test_a_label_never_exceeds_its_cells(name: str, cells: int) -> None:
    assert sum(2 if char >= "\u1100" and char != "…" else 1 for char in shorten(name, cells)) <= cells or len(name) == 0


def test_numbers_are_for_people_or_for_programs() -> None:
    assert (number(1234567), number(1234.5), number(2.0)) == ("1,234,567", "1,234.5", "2")
    assert (plain(1234567), plain(1234.5), plain(2.0)) == ("1234567", "1234.5", "2")


def test_durations_choose_their_unit() -> None:
    assert [duration(us) for us in (12, 1500, 2_720_000)] == ["12 µs", "1.5 ms", "2.72 s"]
