from __future__ import annotations

from dataclasses import replace

import pytest

import flamegraph
from flamegraph.fold import fold
from flamegraph.merge import merge
from flamegraph.profile import Frame, ProfileError
from tests.flamegraph.profiles import profile, shared


def test_entries_of_all_come_one_after_another_under_shared_frames() -> None:
    first, second = profile(("a;b", 1), missed=1), profile(("b", 2), ("a;b", 3), missed=2)
    found = merge([("x", first), ("y", second)])

    assert list(fold(found, time_order=True)) == ["a;b 1", "b 2", "a;b 3"]
    assert list(found.frames) == [Frame("a"), Frame("b")]
    assert (len(found.stacks), found.missed, found.starts_us) == (2, 3, None)


def test_one_profile_stays_as_it_is() -> None:
    only = profile(("a", 1))

    assert merge([("x", only)]) is only


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"mode": "cpu"}, "y: its mode is cpu, that of x is wall: only profiles of one kind can be merged"),
        ({"mode": ""}, "y: its mode is unknown, that of x is wall: only profiles of one kind can be merged"),
        ({"unit": "bytes"}, "y: its unit is bytes, that of x is samples: only profiles of one kind can be merged"),
        ({"weights_after": [1]}, "y: differential, which cannot be merged with others"),
    ],
)
def test_profiles_of_two_kinds_are_refused_by_name(facts: dict[str, object], said: str) -> None:
    first = profile(("a", 1), mode="wall")
    with pytest.raises(ProfileError) as caught:
        merge([("x", first), ("y", replace(first, **facts))])  # type: ignore[arg-type]

    assert said == str(caught.value)


def test_intervals_that_differ_are_said() -> None:
    first = profile(("a", 1), interval=500)

    assert "(500, 1000)" in merge([("x", first), ("y", replace(first, interval=1000))]).warnings[0]


def test_recorded_dumps_of_one_mode_merge_and_of_two_do_not() -> None:
    wall, cpu = (flamegraph.read(shared(f"stackprof/v0.2.27/{name}-raw.dump")) for name in ("wall", "cpu"))

    assert sum(merge([("a", wall), ("b", wall)]).weights) == 2 * sum(wall.weights)
    with pytest.raises(ProfileError, match=r"^b: its mode is cpu, that of a is wall"):
        merge([("a", wall), ("b", cpu)])
