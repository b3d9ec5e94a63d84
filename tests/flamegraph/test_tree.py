from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from flamegraph import tree
from flamegraph.tree import merge

if TYPE_CHECKING:
    import pytest

NO_GROUPS = [-1] * 10

stacks = st.lists(st.tuples(st.lists(st.integers(0, 4), max_size=6).map(tuple), st.integers(1, 9)), max_size=25)


def test_neighbours_that_begin_alike_share_their_spans() -> None:
    grown = merge([((0, 1), 2), ((0, 2), 3)], NO_GROUPS)

    assert sorted(grown.spans) == [(1, 0, 5, 0, 0), (2, 0, 2, 1, 0), (2, 2, 3, 2, 0)]
    assert grown.total == 5


def test_a_frame_that_is_a_leaf_and_a_caller_is_one_span() -> None:
    grown = merge([((0,), 4), ((0, 1), 1)], NO_GROUPS)

    assert sorted(grown.spans) == [(1, 0, 5, 0, 0), (2, 4, 1, 1, 0)]


def test_what_is_not_next_to_each_other_stays_apart() -> None:
    grown = merge([((0,), 1), ((1,), 1), ((0,), 1)], NO_GROUPS)

    assert [(span[1], span[3]) for span in sorted(grown.spans)] == [(0, 0), (1, 1), (2, 0)]


def test_a_frame_without_a_group_takes_its_callers() -> None:
    grown = merge([((0, 1, 2), 1)], [3, -1, 5])

    assert [span[4] for span in sorted(grown.spans)] == [3, 3, 5]


def test_spans_under_the_floor_are_kept_apart() -> None:
    grown = merge([((0, 1), 1), ((0, 2), 99)], NO_GROUPS, floor=2)

    assert [span[3] for span in sorted(grown.spans)] == [0, 2]
    assert grown.narrow == [(2, 0, 1, 1, 0)]


def test_a_stack_of_2048_frames_is_merged() -> None:
    grown = merge([((0,) * 2048, 1)], NO_GROUPS)

    assert len(grown.spans) == 2048


def test_of_too_many_narrow_spans_the_heavier_are_remembered_and_the_rest_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tree, "_NARROW_LIMIT", 10)
    wide = [((0, 1), 5), ((0, 2), 1)] * 20

    grown = merge(wide, NO_GROUPS, floor=50)

    assert {span[2] for span in grown.narrow} == {5}
    assert 5 <= len(grown.narrow) <= 10
    assert grown.forgotten + len(grown.narrow) == 40


def test_of_equally_heavy_narrow_spans_those_nearer_to_the_root_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "_NARROW_LIMIT", 10)

    grown = merge([((0, 1, 2), 1), ((3, 1, 2), 1)] * 20, NO_GROUPS, floor=50)

    assert 5 <= len(grown.narrow) <= 10
    assert {span[0] for span in grown.narrow} == {1}


@given(stacks)
def test_each_beginning_of_sorted_stacks_is_one_span_that_weighs_them_all(
    entries: list[tuple[tuple[int, ...], int]],
) -> None:
    weights: Counter[tuple[int, ...]] = Counter()
    for stack, weight in entries:
        for depth in range(1, len(stack) + 1):
            weights[stack[:depth]] += weight

    grown = merge(sorted(entries), NO_GROUPS)

    expected = sorted((len(path), weight, path[-1]) for path, weight in weights.items())
    assert expected == sorted((depth, weight, frame) for depth, _, weight, frame, _ in grown.spans)


@given(stacks)
def test_a_span_lies_inside_of_one_span_of_the_row_below(entries: list[tuple[tuple[int, ...], int]]) -> None:
    spans = merge(entries, NO_GROUPS).spans

    for depth, x, weight, _, _ in spans:
        if depth > 1:
            holders = [s for s in spans if s[0] == depth - 1 and s[1] <= x and x + weight <= s[1] + s[2]]
            assert len(holders) == 1
