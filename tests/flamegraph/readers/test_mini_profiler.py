from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flamegraph
from flamegraph.profile import Frame, ProfileError
from flamegraph.readers.mini_profiler import frame_of
from tests.flamegraph.profiles import SHARED, shared
from tests.flamegraph.readers.ruby import read_or_refused

GRAPH = {
    "version": 1.2,
    "mode": "wall",
    "interval": 500,
    "frames": {"7": {"name": "a</script>", "file": "f.rb", "line": 3}},
    "raw": [1, 7, 2],
}
PAGE = f"<html><script>\nvar graph = {json.dumps(GRAPH)};\n'&title=' + 'Flamegraph for %2Fa+b';</script></html>"
OLD = '<html><script>\nvar data = [{"x":1,"y":1,"width":3,"frame":"C:\\x.rb:4:in `run\'"}];\n</script>'
PAGES = sorted(path.relative_to(SHARED).as_posix() for path in SHARED.glob("*/*.html"))


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_read(page: str) -> None:
    found = flamegraph.read(shared(page))

    assert sum(found.weights) > 50
    assert found.source == "rack-mini-profiler"
    assert not found.warnings


def test_the_page_and_the_stored_profile_are_the_same() -> None:
    page = flamegraph.read(shared("mini_profiler/v5.0.0-async.html"))
    stored = flamegraph.read(shared("mini_profiler/v5.0.0-store-mp_timers.dump"))

    assert (page.stacks, page.order, page.weights) == (stored.stacks, stored.order, stored.weights)


def test_the_new_page_is_named_by_its_path() -> None:
    found = flamegraph.read(PAGE.encode())

    assert (found.title, found.frames[0]) == ("Flamegraph for /a b", Frame("a</script>", "f.rb", 3))


def test_rails_mini_profiler_writes_a_constant_without_a_semicolon() -> None:
    text = PAGE.replace("var graph", "const graph").replace("};", "}")

    assert list(flamegraph.read(text.encode()).weights) == [2]


def test_a_backslash_that_the_old_gem_left_alone_is_read() -> None:
    assert flamegraph.read(OLD.encode()).frames[0] == Frame("run", "C:\\x.rb", 4)


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("/a/b.rb:12:in `block in <main>'", Frame("block in <main>", "/a/b.rb", 12)),
        ("<cfunc>::in `Array#each'", Frame("Array#each", "<cfunc>", 0)),
        ("::in `(garbage collection)'", Frame("(garbage collection)", "", 0)),
        ("/a/b.rb:12:in 'Foo#bar'", Frame("Foo#bar", "/a/b.rb", 12)),
        ("anything", Frame("anything")),
    ],
)
def test_a_cell_is_a_line_of_a_backtrace(text: str, frame: Frame) -> None:
    assert frame_of(text) == frame


@pytest.mark.parametrize("page", [PAGE[:120], OLD[:60], PAGE.replace("{", "[", 1).replace("[", "{[", 1)])
def test_a_page_whose_script_is_cut_is_refused(page: str) -> None:
    with pytest.raises(ProfileError, match=r"^character [0-9]+: not sound JSON, or cut off"):
        flamegraph.read(page.encode())


def test_another_page_is_refused() -> None:
    with pytest.raises(ProfileError, match=r"^not a profile of any known format$"):
        flamegraph.read(b"<html></html>")


@given(st.text(max_size=30), st.integers(0, len(PAGE)), st.sampled_from([PAGE, OLD]))
def test_any_page_is_read_or_refused(insert: str, at: int, page: str) -> None:
    read_or_refused(flamegraph.read, (page[:at] + insert + page[at + 2 :]).encode("utf-8", "surrogatepass"))
