from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flamegraph.crash_depth import LEFT_OUT, missing_root, rootless, shorten
from flamegraph.crash_document import Place
from flamegraph.profile import Frame


def test_a_stack_that_is_not_deep_stays() -> None:
    assert tuple([7] * 300) == shorten([7] * 300)


def test_of_recursion_two_rounds_on_either_side_stay() -> None:
    assert (0, 1, 2, 1, 2, LEFT_OUT, 1, 2, 1, 2, 3) == shorten([0, *[1, 2] * 500, 3])


def test_two_recursions_stay_two() -> None:
    assert (1, 1, LEFT_OUT, 1, 1, 5, 2, 2, LEFT_OUT, 2, 2) == shorten([*[1] * 200, 5, *[2] * 200])


def test_a_backtrace_cut_inside_of_recursion_has_one_gap() -> None:
    assert (0, 1, 1, LEFT_OUT, 1, 1, 3) == shorten([0, *[1] * 190, LEFT_OUT, *[1] * 190, 3])


def test_what_does_not_repeat_is_cut_in_its_middle() -> None:
    assert (*range(150), LEFT_OUT, *range(350, 500)) == shorten(range(500))


@given(st.lists(st.integers(0, 3), max_size=400), st.integers(10, 50))
def test_the_ends_stay_and_no_stack_is_deeper_than_was_said(stack: list[int], deep: int) -> None:
    kept = shorten(stack, deep)

    assert len(kept) <= max(deep, 1) + 1
    assert tuple(stack[:1]) == kept[:1]
    assert tuple(stack[-1:]) == kept[-1:]


def test_stackprof_drops_the_root_of_2048_frames() -> None:
    assert rootless([5] * 2048, {1})
    assert not rootless([1] + [5] * 2047, {1})
    assert not rootless([5] * 2047, {1})


def test_a_lost_root_is_found_in_the_backtrace() -> None:
    places = [Place("run", "server.rb", 1), Place("call", "app.rb", 2), *[Place("walk", "tree.rb", 9)] * 20]

    assert missing_root([0] * 15, [Frame("Tree#walk", "tree.rb", 8)], places) == 2
    assert missing_root([0] * 15, [Frame("Tree#fly", "tree.rb", 8)], places) == 0
