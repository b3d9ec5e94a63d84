from __future__ import annotations

import gzip

import pytest

import flamegraph
from flamegraph.profile import ProfileError
from flamegraph.readers import unpack
from flamegraph.readers.detect import FORMATS, find
from tests.flamegraph.profiles import shared

FOUND = {
    "stackprof/v0.2.7/wall-raw.dump": "stackprof",
    "stackprof/v0.2.7/wall-raw.json": "stackprof_json",
    "stackprof_cli/v0.2.27-wall-raw.timeline_flamegraph": "stackprof_timeline",
    "stackprof_cli/v0.2.27-wall-raw.stackcollapse": "folded",
    "mini_profiler/v2.2.1-flamegraphgem-ok.html": "mini_profiler",
    "mini_profiler/v2.3.4-store-mp_timers.dump": "stackprof",
    "speedscope/0.6.0/two-sampled.speedscope.json": "speedscope",
    "vernier/gvl_sleep.vernier.json": "vernier",
    "folded/simple-with-invalids.txt": "folded",
    "logs/production.log": "rails_log",
    "logs/production_tagged.log": "rails_log",
}


RBSPY = "a raw recording of rbspy: give `rbspy report -i FILE -f speedscope` or `-f collapsed` instead"


@pytest.mark.parametrize(("name", "expected"), FOUND.items())
def test_the_format_is_found_by_content(name: str, expected: str) -> None:
    assert expected == find(shared(name).read_bytes()).NAME


@pytest.mark.parametrize(
    "told",
    [
        '"raw":[1,1,%d]',
        '"raw":[1,1,3],"interval":%d',
        '"raw":[1,1,1,1,1,1],"interval":1000,"raw_sample_timestamps":[1,%d],"raw_timestamp_deltas":[1,2]',
        '"raw":[1,1,3],"raw_sample_timestamps":[1,2,3],"metadata":{"stopped_at_us":%d}',
        '"samples":%d',
    ],
)
def test_numbers_that_no_float_holds_are_refused(told: str) -> None:
    text = '{"mode":"wall","frames":{"1":{"name":"a","samples":1,"total_samples":%d}},' + told + "}"
    with pytest.raises(ProfileError, match=r"^a count or a time of more than 100 digits, which nothing can be$"):
        flamegraph.read(text.replace("%d", "9" * 400).encode())


def test_every_format_has_a_reader_of_its_name() -> None:
    assert list(FORMATS) == [find(b"x", name).NAME for name in FORMATS]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (
            b"rbspy02\n{}",
            "a raw recording of rbspy: give `rbspy report -i FILE -f speedscope` or `-f collapsed` instead",
        ),
        (b"<svg xmlns='x'/>", "an SVG: give the profile from which it was drawn"),
        (b"\x89PNG\r\n", "not a profile of any known format"),
        (b'{"a": 1}', "not a profile of any known format"),
        (b"\x00" * 50, "not a profile of any known format"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(data: bytes, said: str) -> None:
    with pytest.raises(ProfileError) as caught:
        flamegraph.read(data)
    assert said == str(caught.value)

    if data:
        with pytest.raises(ProfileError) as caught:
            flamegraph.read(gzip.compress(data))
        assert said == str(caught.value)


@pytest.mark.parametrize("name", ["callgrind", "graphviz"])
def test_reports_without_stacks_are_refused_by_name(name: str) -> None:
    with pytest.raises(ProfileError, match=r"which holds no stacks: give the stackprof dump itself$"):
        flamegraph.read(shared(f"stackprof_cli/v0.2.27-wall-raw.{name}"))


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ProfileError, match=r"^no format is called 'perf'; there are stackprof, "):
        flamegraph.read(b"a 1", format="perf")


def test_several_gzip_members_are_one_file() -> None:
    data = gzip.compress(b"a 1\n") + gzip.compress(b"b 2\n")

    assert unpack.plain(data) == b"a 1\nb 2\n"


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(ProfileError, match=r"^unpacks to more than 1 MB$"):
        unpack.plain(gzip.compress(b"\0" * (70 << 20)), limit=1 << 20)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(b"a 1\n", mtime=0)[:-9], "gzip data that is cut off after 4 unpacked bytes"),
        (b"\x1f\x8bxxxxxxxxxxx", "gzip data that is broken after 0 unpacked bytes"),
    ],
)
def test_broken_gzip_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ProfileError) as caught:
        unpack.plain(data)
    assert said == str(caught.value)
