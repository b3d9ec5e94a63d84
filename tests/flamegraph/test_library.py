from __future__ import annotations

import pytest

import flamegraph
from flamegraph.profile import Profile, ProfileError
from tests.flamegraph.profiles import shared


def test_a_profile_is_read_from_a_path_or_from_bytes() -> None:
    path = shared("folded/simple.txt")

    assert flamegraph.read(path) == flamegraph.read(str(path)) == flamegraph.read(path.read_bytes())


def test_what_was_read_is_drawn() -> None:
    svg = flamegraph.render(flamegraph.read(b"main;work 3\n"), layout="icicle", title="Work")

    assert svg.startswith("<svg ")
    assert "work (3 samples, 100.00%)" in svg


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="formats"):
        flamegraph.read(b"a 1", formats="folded")


def test_errors_are_one_line() -> None:
    assert str(ProfileError("a\nb\x1b[m")) == "a\\nb\\x1b[m"
    assert len(str(ProfileError("x" * 9999))) == 603


def test_a_profile_without_anything_is_a_profile() -> None:
    assert Profile([], [], [], []).unit == "samples"
