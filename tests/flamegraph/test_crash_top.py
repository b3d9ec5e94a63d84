from __future__ import annotations

import json

from flamegraph.crash_top import top
from tests.flamegraph.crash_documents import BACKTRACE, document, recorded


def test_each_crash_is_one_sample_of_its_backtrace() -> None:
    texts = [json.dumps(document()).encode()] * 3 + [b"{", json.dumps(document(exception=None)).encode()]
    profile = top(texts, "Crashes")

    assert [3] == [len(profile.order)]
    assert ["run server.rb:12", "show cart.rb:5", "block in total cart.rb:22", "price cart.rb:31", "KeyError"] == [
        profile.frames[index].name for index in profile.stacks[0]
    ]
    assert ["2 more have no backtrace: they are not drawn"] == profile.warnings


def test_crashes_of_two_kinds_part_where_their_backtraces_do() -> None:
    other = document(exception={"class": "KeyError", "backtrace": BACKTRACE[2:], "frames": 2})
    profile = top([json.dumps(each).encode() for each in (document(), other)], "Crashes")

    one, two = profile.stacks
    assert one[:2] == two[:2]
    assert one[2] != two[2]


def test_the_depth_of_recursion_tells_no_crashes_apart() -> None:
    profile = top([recorded("wall_overflow"), recorded("wall_overflow").replace(b"10908", b"10907")], "Crashes")

    assert 1 == len(profile.stacks)
