from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import example, given
from hypothesis import strategies as st

import flamegraph
from flamegraph.fold import fold, number
from flamegraph.groups import shares
from flamegraph.profile import Frame, Profile
from tests.flamegraph.profiles import profile, shared

if TYPE_CHECKING:
    from collections.abc import Sequence

names = st.text(
    st.one_of(st.sampled_from("ab;\\x3 5c#0129.-:\t\n\r\u2028é"), st.characters(exclude_categories=["Cs"])), max_size=12
)
frames = st.builds(Frame, names, st.one_of(st.just(""), names), st.integers(0, 99_999))


def again(found: Profile, *, files: bool) -> Profile:
    return flamegraph.read(("\n".join(fold(found, time_order=True, files=files)) + "\n").encode())


def stacks(found: Profile) -> list[tuple[list[Frame], float]]:
    pairs = zip(found.order, found.weights, strict=True)
    return [([found.frames[frame] for frame in found.stacks[index]], weight) for index, weight in pairs]


def built(entries: Sequence[tuple[Sequence[Frame], int]]) -> Profile:
    table = list(dict.fromkeys(frame for stack, _ in entries for frame in stack))
    keys = [tuple(table.index(frame) for frame in stack) for stack, _ in entries]
    different = list(dict.fromkeys(keys))
    return Profile(table, different, [different.index(key) for key in keys], [weight for _, weight in entries])


def test_equal_stacks_are_added_in_the_order_of_their_first() -> None:
    assert list(fold(profile(("b", 1), ("a;c", 2), ("b", 4)))) == ["b 5", "a;c 2"]


def test_stacks_that_differ_by_files_only_are_equal_without_them() -> None:
    found = built([([Frame("a", "x.rb", 1)], 1), ([Frame("a", "y.rb", 2)], 2)])

    assert list(fold(found)) == ["a 3"]
    assert list(fold(found, files=True)) == ["a - x.rb:1 1", "a - y.rb:2 2"]


def test_numbers_have_no_exponent() -> None:
    assert [number(each) for each in (3, 2.5, 1e22, 1e-7)] == ["3", "2.5", "10000000000000000000000", "0.0000001"]


@given(st.lists(st.tuples(st.lists(frames, min_size=1, max_size=4), st.integers(0, 10**6)), min_size=1, max_size=4))
@example([([Frame("# a"), Frame("b 12")], 5)])
@example([([Frame("\\x5cx3b;"), Frame("x - y:3")], 5)])
@example([([Frame("a - b:1", " - c", 4)], 5)])
@example([([Frame("")], 5)])
def test_what_is_printed_is_read_back(entries: list[tuple[list[Frame], int]]) -> None:
    found = built(entries)
    bare = [([Frame(frame.name) for frame in stack], weight) for stack, weight in entries]
    placed = [([frame if frame.file else Frame(frame.name) for frame in stack], weight) for stack, weight in entries]

    assert stacks(again(found, files=False)) == bare
    assert stacks(again(found, files=True)) == placed


def test_a_real_profile_printed_with_files_has_the_same_legend() -> None:
    found = flamegraph.read(shared("rails/stackprof_cpu_raw.dump"))
    back = again(found, files=True)

    assert shares(found) == shares(back)
    assert stacks(found) == stacks(back)


def test_both_counts_of_a_differential_are_kept() -> None:
    found = flamegraph.read(b"a;b 1 3\na 2.5 0\na;b 4 0\n")

    assert list(fold(found)) == ["a;b 5 3", "a 2.5 0"]
    assert list(fold(found, time_order=True)) == ["a;b 1 3", "a 2.5 0", "a;b 4 0"]
