from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flamegraph
from flamegraph.fold import fold
from flamegraph.profile import Profile, ProfileError
from tests.flamegraph.profiles import shared
from tests.flamegraph.readers.ruby import read_or_refused


def lines(found: Profile) -> list[str]:
    return list(fold(found, time_order=True))


def test_a_line_is_a_stack_a_space_and_a_count() -> None:
    assert lines(flamegraph.read(b"a;b c 2\na;b c 3\n a 1")) == ["a;b c 2", "a;b c 3", " a 1"]


@pytest.mark.parametrize("name", ["simple.txt", "simple-crlf.txt", "simple-utf16-le.txt", "simple-utf16-be.txt"])
def test_ends_of_lines_and_encodings_make_no_difference(name: str) -> None:
    assert lines(flamegraph.read(shared(f"folded/{name}"))) == ["a;b;c 1", "a;b;c 1", "a;b;d 4", "a;b;c 3", "a;b 5"]


def test_lines_without_a_count_are_left_out_and_said() -> None:
    found = flamegraph.read(b"a 1\nbad\n\n# note 5\nb 1,000\nc -5\nd 5e2\ne 2\n")

    assert lines(found) == ["a 1", "e 2"]
    assert list(found.warnings) == ["4 lines without a count left out, from line 2 on"]


def test_fractions_are_kept() -> None:
    assert list(flamegraph.read(b"a 1.5\nb 2.\nc 3\n").weights) == [1.5, 2.0, 3]


def test_a_tab_may_stand_before_the_count() -> None:
    assert lines(flamegraph.read(b"a;b\t7\n")) == ["a;b 7"]


def test_empty_frames_are_kept() -> None:
    assert flamegraph.read(b"a;;b; 5\n").stacks == [(0, 1, 2, 1)]


def test_two_counts_on_every_line_are_before_and_after() -> None:
    found = flamegraph.read(b"a;b 12 100\na 5 0\n")

    assert (list(found.weights), list(found.weights_after or ())) == ([12, 5], [100, 0])


def test_two_counts_on_some_lines_are_a_name_that_ends_in_a_number() -> None:
    found = flamegraph.read(b"a;b 12 100\na 5\n")

    assert found.weights_after is None
    assert found.frames[1].name == "b 12"


def test_a_place_after_a_dash_is_the_file_and_the_line() -> None:
    found = flamegraph.read("block in <main> - /srv/app/ä b.rb:12;x - y 3".encode())

    assert [(each.name, each.file, each.line) for each in found.frames] == [
        ("block in <main>", "/srv/app/ä b.rb", 12),
        ("x - y", "", 0),
    ]


def test_bytes_that_are_not_utf_8_are_shown() -> None:
    assert flamegraph.read(b"a\xff;b 1\n").frames[0].name == "a\\xff"


def test_equal_lines_are_added_where_order_does_not_matter() -> None:
    data = b"a;b 2\na;b 3\nbad\na 1.5\n" * 4096
    ordered, summed = flamegraph.read(data), flamegraph.read(data, ordered=False)

    assert len(summed.order) == 2
    assert list(fold(ordered)) == list(fold(summed)) == [f"a;b {5 * 4096}", f"a {1.5 * 4096}"]
    assert list(ordered.warnings) == ["4096 lines without a count left out, from line 3 on"]
    assert list(summed.warnings) == ["4096 lines without a count left out, from line 1 on"]


def test_text_without_a_stack_is_refused() -> None:
    with pytest.raises(ProfileError, match=r"^not a profile of any known format$"):
        flamegraph.read(b"hello\nworld\n")
    with pytest.raises(ProfileError, match=r"^no line is a stack and its count, so not folded text$"):
        flamegraph.read(b"hello\nworld\n", format="folded")


def test_a_number_alone_is_no_stack() -> None:
    assert lines(flamegraph.read(b"12\na 3\n")) == ["a 3"]


@pytest.mark.parametrize("count", [b"9" * 5000, b"9" * 400 + b"."])
def test_a_count_that_no_number_holds_is_refused(count: bytes) -> None:
    with pytest.raises(ProfileError, match=rf"^a count of {len(count)} digits$"):
        flamegraph.read(b"a " + count)


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read_or_refused(lambda data: flamegraph.read(data, format="folded"), data)
    read_or_refused(flamegraph.read, data)
