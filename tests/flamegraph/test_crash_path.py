from __future__ import annotations

import pytest

from flamegraph.crash_document import Place, place_of
from flamegraph.crash_path import Path, follow, method, same
from flamegraph.profile import Frame


@pytest.mark.parametrize(
    ("label", "bare"),
    [
        ("total", "total"),
        ("Cart#total", "total"),
        ("Cart.total", "total"),
        ("block in total", "total"),
        ("block (2 levels) in Cart#total", "total"),
        ("rescue in block in total", "total"),
        ("ensure in total", "total"),
        ("#<Class:0x00007f>#call", "call"),
        ("Cart#<=>", "<=>"),
        ("<top (required)>", "<top (required)>"),
        ("block in <main>", "<main>"),
        ("", ""),
        ("odd\nname", "odd\nname"),
    ],
)
def test_a_method_is_known_by_its_bare_name(label: str, bare: str) -> None:
    assert bare == method(label)


@pytest.mark.parametrize(
    ("place", "frame", "expected"),
    [
        ("/srv/app/cart.rb:9:in `total'", Frame("Cart#total", "/srv/app/cart.rb", 7), True),
        ("/srv/app/cart.rb:9:in 'Cart#total'", Frame("Cart#total", "/srv/app/cart.rb", 7), True),
        ("cart.rb:9:in `total'", Frame("Cart#total", "/srv/app/cart.rb", 7), True),
        ("/srv/app/cart.rb:6:in `total'", Frame("Cart#total", "/srv/app/cart.rb", 7), False),
        ("/srv/app/cart.rb:9:in `sum'", Frame("Cart#total", "/srv/app/cart.rb", 7), False),
        ("/srv/app/user.rb:9:in `total'", Frame("Cart#total", "/srv/app/cart.rb", 7), False),
        ("/srv/app/cart.rb:9:in `each'", Frame("Array#each", "<cfunc>"), True),
        ("<internal:kernel>:187:in `loop'", Frame("Kernel#loop", "<internal:kernel>", 178), True),
    ],
)
def test_a_line_and_a_frame_are_the_same_by_method_and_file(place: str, frame: Frame, *, expected: bool) -> None:
    assert expected is same(place_of(place), frame)


FRAMES = (
    Frame("Server#run", "server.rb", 1),
    Frame("A#call", "stack.rb", 1),
    Frame("B#call", "stack.rb", 10),
    Frame("Integer#times", "<internal:numeric>", 230),
    Frame("Cart#total", "cart.rb", 1),
)


def test_a_frame_whose_line_was_sampled_wins_over_a_heavier_one() -> None:
    places = [Place("run", "server.rb", 2), Place("call", "stack.rb", 12)]
    stacks = [(0, 1), (0, 2)]

    assert Path((0, 1), (0, 1)) == follow(places, FRAMES, stacks, [9, 1], {})
    assert Path((0, 2), (0, 1)) == follow(places, FRAMES, stacks, [9, 1], {0: {(2, 3)}, 1: {(2, 12)}})


def test_a_frame_that_backtraces_hide_is_passed() -> None:
    places = [Place("run", "server.rb", 2), Place("total", "cart.rb", 3)]

    assert Path((0, 3, 4), (0, 2)) == follow(places, FRAMES, [(0, 3, 4)], [1], {})


def test_the_way_that_goes_on_longest_wins() -> None:
    places = [Place("run", "server.rb", 2), Place("call", "stack.rb", 12), Place("total", "cart.rb", 3)]

    assert Path((0, 2, 4), (0, 1, 2)) == follow(places, FRAMES, [(0, 1), (0, 2, 4)], [9, 1], {})


def test_without_stacks_there_is_no_way() -> None:
    assert Path() == follow([Place("run", "server.rb", 2)], FRAMES, [], [], {})
