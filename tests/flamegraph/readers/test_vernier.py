from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flamegraph
from flamegraph.fold import fold
from flamegraph.profile import Frame, ProfileError
from tests.flamegraph.profiles import shared
from tests.flamegraph.readers.ruby import read_or_refused


def thread(**changes: object) -> dict[str, Any]:
    return {
        "name": "main",
        "isMainThread": True,
        "samples": {"stack": [1, None, 0], "weight": [2, 7, 3], "weightType": "samples"},
        "stackTable": {"frame": [0, 1], "prefix": [None, 0]},
        "frameTable": {"func": [1, 0]},
        "funcTable": {"name": [0, 1], "fileName": [2, None], "lineNumber": [4, None]},
        "stringArray": ["leaf", "root", "gem:rack-2.2:lib/x.rb"],
        **changes,
    }


def text(*threads: object) -> bytes:
    return json.dumps({"meta": {"product": "Ruby/Vernier", "interval": 0.5}, "threads": threads}).encode()


def test_a_recorded_file_has_the_weight_that_its_samples_say() -> None:
    path = shared("vernier/gvl_sleep.vernier.json")
    threads = json.loads(path.read_bytes())["threads"]
    expected = sum(sum(each["samples"]["weight"]) for each in threads)

    assert sum(flamegraph.read(path, profile="all").weights) == expected


def test_stacks_follow_their_prefixes_to_the_root() -> None:
    found = flamegraph.read(text(thread()))

    assert list(fold(found)) == ["root;leaf 2", "root 3"]
    assert found.frames == [Frame("leaf", "gem:rack-2.2:lib/x.rb", 4), Frame("root")]
    assert (found.interval, found.title) == (500, "main")


def test_the_times_of_samples_are_kept_where_all_have_one() -> None:
    samples = {"stack": [1, None, 0], "weight": [2, 7, 3], "weightType": "samples"}
    found = flamegraph.read(text(thread(samples={**samples, "time": [1000.5, 1001.0, 1002.25]})))
    torn = flamegraph.read(text(thread(samples={**samples, "time": [1000.5, None, 1002.25]})))

    assert found.starts_us == [0, 1750]
    assert torn.starts_us is None


def test_the_main_thread_is_the_one_that_is_shown() -> None:
    found = flamegraph.read(text(thread(isMainThread=False, name="other"), thread()))

    assert found.title == "main"
    assert "profile 1 of 2 (0 other, 1 main)" in found.warnings[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stackTable": {"frame": [0, 1], "prefix": [1, 0]}}, "stack 1 calls itself in a ring"),
        ({"frameTable": {"func": [9, 9]}}, "the name of a function has the number 9"),
        ({"stringArray": []}, "the string has the number"),
        ({"samples": {"stack": [0], "weight": [1, 2]}}, "1 samples, but 2 weights"),
        ({"samples": {"stack": [0], "weight": [-1]}}, "sample 0 weighs -1"),
        ({"samples": None}, "a thread without its samples"),
        ({"frameTable": {}}, "a table of a thread without its column func"),
    ],
)
def test_tables_that_do_not_fit_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ProfileError) as caught:
        flamegraph.read(text(thread(**changes)))

    assert str(caught.value).startswith(said)


columns = st.lists(st.none() | st.integers(-1, 3) | st.text(max_size=1) | st.lists(st.none()), max_size=3)


@given(columns, columns, columns, columns)
def test_any_tables_are_read_or_refused(a: object, b: object, c: object, d: object) -> None:
    changes = {
        "samples": {"stack": a, "weight": b},
        "stackTable": {"frame": c, "prefix": d},
        "funcTable": {"name": b, "fileName": a},
    }
    read_or_refused(flamegraph.read, text(thread(**changes), thread(stackTable={"frame": a, "prefix": c})))
