from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flamegraph
from flamegraph.fold import fold
from flamegraph.profile import Profile, ProfileError
from tests.flamegraph.profiles import shared
from tests.flamegraph.readers.ruby import read_or_refused

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def read(*profiles: dict[str, Any], **options: object) -> Profile:
    shared_frames = {"frames": [{"name": "a", "file": "f.rb", "line": 3}, {"name": "b"}]}
    text = json.dumps({"$schema": SCHEMA, "shared": shared_frames, "profiles": profiles})
    return flamegraph.read(text.encode(), **options)


def sampled(samples: list[object], weights: list[object], **more: object) -> dict[str, Any]:
    return {"type": "sampled", "name": "s", "unit": "none", "samples": samples, "weights": weights, **more}


def evented(*events: tuple[str, int, float], **more: object) -> dict[str, Any]:
    table = [{"type": kind, "frame": frame, "at": at} for kind, frame, at in events]
    return {"type": "evented", "name": "e", "unit": "none", "events": table, **more}


def lines(found: Profile) -> list[str]:
    return list(fold(found, time_order=True))


@pytest.mark.parametrize("name", ["0.0.1/simple.speedscope.json", "0.0.1/simple-no-pretty-print.speedscope.json"])
def test_recorded_files_are_read(name: str) -> None:
    assert lines(flamegraph.read(shared(f"speedscope/{name}"))) == ["a;b;c 2", "a;b;d 4", "a;b;c 3", "a;b 5"]


@pytest.mark.parametrize("name", ["incomplete-trace.json", "out-of-order-events.json"])
def test_invalid_files_are_refused(name: str) -> None:
    with pytest.raises(ProfileError):
        flamegraph.read(shared(f"speedscope/invalid/{name}"))


def test_a_sample_is_root_first_and_weighs_what_it_says() -> None:
    found = read(sampled([[0, 1], [0], [1]], [2, 0, 1.5]))

    assert lines(found) == ["a;b 2", "b 1.5"]
    assert (found.frames[0].file, found.frames[0].line, found.unit) == ("f.rb", 3, "samples")


def test_events_are_stacks_for_the_time_between_them() -> None:
    assert lines(read(evented(("O", 0, 1), ("O", 1, 3), ("C", 1, 4), ("C", 0, 6)))) == ["a 2", "a;b 1", "a 2"]


def test_units_of_time_become_microseconds_and_give_times() -> None:
    found = read(sampled([[0], [1]], [2, 3], unit="milliseconds"))

    assert (found.unit, list(found.weights)) == ("microseconds", [2000, 3000])
    assert (found.starts_us, found.stopped_us) == ([0, 2000], 5000)


def test_one_of_several_profiles_is_chosen_and_the_others_are_mentioned() -> None:
    profiles = (sampled([[0]], [1]), sampled([[1]], [2]))

    assert lines(read(*profiles)) == ["a 1"]
    assert list(read(*profiles).warnings) == ["this is profile 0 of 2 (0 s, 1 s); --profile chooses another, or all"]
    assert lines(read(*profiles, profile="1")) == ["b 2"]
    assert lines(read(*profiles, profile="all")) == ["a 1", "b 2"]


@pytest.mark.parametrize("wish", ["2", "-1", "x"])
def test_a_profile_that_is_not_there_is_refused(wish: str) -> None:
    with pytest.raises(ProfileError, match=rf"^--profile is all or 0 to 0, was '{wish}'$"):
        read(sampled([[0]], [1]), profile=wish)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (sampled([[0]], [1, 2]), "1 samples, but 2 weights"),
        (sampled([[0]], [-1]), "sample 0 weighs -1, which is not a number from 0 on"),
        (sampled([[0]], ["x"]), "sample 0 weighs 'x', which is not a number from 0 on"),
        (sampled([[2]], [1]), "sample 0 names a frame that is not one of the 2"),
        (sampled([[-1]], [1]), "sample 0 names a frame that is not one of the 2"),
        (evented(("O", 0, 5), ("C", 0, 4)), "event 1 is at 4, before the one before it at 5"),
        (evented(("C", 0, 5)), "event 0 closes frame 0, where none is open"),
        (evented(("O", 0, 5)), "frame 0 is never closed: the profile is not complete"),
        (evented(("X", 0, 5)), "event 0 has no type O or C, no frame of the 2, or no time"),
        ({"type": "other"}, "a profile that is neither sampled"),
    ],
)
def test_what_cannot_be_is_refused(broken: dict[str, Any], said: str) -> None:
    with pytest.raises(ProfileError) as caught:
        read(broken)

    assert str(caught.value).startswith(said)


def test_nan_is_refused() -> None:
    with pytest.raises(ProfileError, match=r"^NaN in JSON"):
        read(sampled([[0]], [float("nan")]))


def test_a_file_without_profiles_is_refused() -> None:
    with pytest.raises(ProfileError, match=r"^no profile in the file$"):
        read()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["frame", "at", "type"]), inner),
    max_leaves=6,
)


@given(json_values, json_values, json_values, json_values)
def test_any_json_is_read_or_refused(frames: object, samples: object, weights: object, events: object) -> None:
    profiles = [
        {"type": "sampled", "samples": samples, "weights": weights},
        {"type": "evented", "events": events, "unit": weights},
        samples,
    ]
    for wish in ("0", "1", "2", "all"):
        text = json.dumps({"$schema": SCHEMA, "shared": {"frames": frames}, "profiles": profiles})
        read_or_refused(lambda data, wish=wish: flamegraph.read(data, profile=wish), text.encode())  # type: ignore[misc]
