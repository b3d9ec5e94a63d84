from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flamegraph
from flamegraph.fold import fold
from flamegraph.profile import ProfileError
from flamegraph.readers.stackprof_timeline import undump
from tests.flamegraph.profiles import shared
from tests.flamegraph.readers.ruby import read_or_refused

ROWS = 'flamegraph([\n{"x":0,"y":0,"width":3,"frame_id":7,"frame":"a","file":"f.rb"}\n])\n'


def test_the_timeline_has_the_stacks_of_its_dump() -> None:
    drawn = Counter(fold(flamegraph.read(shared("stackprof_cli/v0.2.27-wall-raw.timeline_flamegraph"))))

    assert Counter(fold(flamegraph.read(shared("stackprof_cli/v0.2.27-wall-raw.dump")))) == drawn


def test_the_alphabetical_graph_has_them_in_another_order() -> None:
    drawn = flamegraph.read(shared("stackprof_cli/v0.2.27-wall-raw.alphabetical_flamegraph"))

    assert sum(flamegraph.read(shared("stackprof_cli/v0.2.27-wall-raw.dump")).weights) == sum(drawn.weights)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (rb"a\"b\\c", 'a"b\\c'),
        (rb"\u{1F600} \u00e9", "😀 é"),
        (rb"\xE2\x82\xAC \xFF", "€ \\xff"),
        (rb"\#{x} \#$y \e\n", "#{x} #$y \x1b\n"),
        (rb"\u{FFFFFF}", "\\u{FFFFFF}"),
    ],
)
def test_strings_are_those_of_rubys_dump(raw: bytes, expected: str) -> None:
    assert undump(raw) == expected


def test_a_cut_timeline_is_refused() -> None:
    with pytest.raises(ProfileError, match=r"^line 2: not a row of stackprof's timeline, or cut off$"):
        flamegraph.read(ROWS[:60].encode())
    with pytest.raises(ProfileError, match=r"^line 2: the timeline is cut off here$"):
        flamegraph.read(ROWS[:-4].encode())


@given(st.binary(max_size=60), st.integers(0, len(ROWS)))
def test_any_rows_are_read_or_refused(insert: bytes, at: int) -> None:
    text = ROWS.encode()
    read_or_refused(flamegraph.read, text[:at] + insert + text[at:])
