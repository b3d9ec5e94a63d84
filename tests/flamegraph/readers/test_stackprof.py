from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flamegraph
from flamegraph.fold import fold
from flamegraph.profile import Profile, ProfileError
from tests.flamegraph.profiles import SHARED, shared
from tests.flamegraph.readers.ruby import Symbol, dump, frame, profile, read_or_refused

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = 0x7F5BF099FD10
ORACLES = sorted(path.relative_to(SHARED).as_posix() for path in SHARED.glob("*/**/*.oracle.folded*"))
FRAMES: dict[int, object] = {1: frame("main"), 2: frame("work", line=7), ADDRESS: frame("deep", "/srv/lib.rb", 9)}


def lines(found: Profile) -> list[str]:
    return list(fold(found, time_order=True))


def dumped(oracle: str) -> list[Path]:
    stem = oracle.partition(".oracle")[0]
    found = [SHARED / (stem + ending) for ending in (".dump", ".json", ".dump.gz")]
    return [path for path in found if path.exists()]


@pytest.mark.parametrize("oracle", ORACLES)
def test_folded_stacks_are_those_of_stackprof_line_by_line(oracle: str) -> None:
    text = shared(oracle).read_bytes()
    text = gzip.decompress(text) if oracle.endswith(".gz") else text
    expected = text.decode().splitlines()

    for path in dumped(oracle):
        assert expected == lines(flamegraph.read(path)), path.name


@pytest.mark.parametrize("oracle", [name.replace("folded", "jsonl") for name in ORACLES if "stackprof/" in name])
def test_frames_have_the_files_and_lines_of_stackprof(oracle: str) -> None:
    expected = [json.loads(line) for line in shared(oracle).read_text().splitlines()]

    for path in dumped(oracle):
        found = flamegraph.read(path)
        places = [(each.name, each.file, each.line) for each in found.frames]
        stacks = [[places[index] for index in found.stacks[entry]] for entry in found.order]
        known = [[(name or "", file or "", line or 0) for name, file, line in each["stack"]] for each in expected]
        assert known == stacks
        assert [each["count"] for each in expected] == list(found.weights)


def test_entries_are_a_depth_ids_from_the_root_and_a_count() -> None:
    found = flamegraph.read(profile([2, 1, ADDRESS, 5, 1, 1, 3, 2, 1, ADDRESS, 1], FRAMES))

    assert lines(found) == ["main;deep 5", "main 3", "main;deep 1"]
    assert found.frames[2].line == 9
    assert (found.mode, found.interval, found.missed) == ("wall", 1000, 0)


@pytest.mark.parametrize("strange", [ADDRESS + 8, 99, [], 1.5, None])
def test_an_id_without_a_frame_is_drawn_as_unknown(strange: object) -> None:
    found = flamegraph.read(profile([2, 1, strange, 5, 1, strange, 1], FRAMES))

    assert lines(found) == ["main;(unknown) 5", "(unknown) 1"]
    assert "(unknown)" in found.warnings[0]


@pytest.mark.parametrize(
    ("raw", "kept", "at"),
    [
        ([1, 1, 4, 9, 1, 1], ["main 4"], 3),
        ([1, 1, 4, -2, 1, 1], ["main 4"], 3),
        ([1, 1, 4, 1, 1, 0], ["main 4"], 3),
        ([1, 1, 4, 1], ["main 4"], 3),
        ([1, 1, 4, 1, 1, -7], ["main 4"], 3),
        ([1 << 29, 1, 4], [], 0),
    ],
)
def test_what_follows_an_unsound_entry_is_left_out_with_a_warning(raw: list[int], kept: list[str], at: int) -> None:
    found = flamegraph.read(profile(raw, FRAMES))

    assert lines(found) == kept
    assert list(found.warnings) == [f"raw is not sound from its element {at} on: what follows is left out"]


def test_ids_that_share_a_name_and_a_place_are_one_frame() -> None:
    found = flamegraph.read(profile([1, 1, 1, 1, 2, 1], {1: frame("same"), 2: frame("same")}))

    assert len(found.frames) == len(found.stacks) == 1
    assert lines(found) == ["same 1", "same 1"]


def test_links_to_numbers_inside_the_packed_array_are_followed() -> None:
    plain = profile([1, ADDRESS, 2, 1, ADDRESS, 3], FRAMES, metadata={Symbol("same"): 1 << 60})
    # The metadata's number is replaced by a link to the first address of raw: hash, version, frames, key, ...
    address = b"l+\x08" + ADDRESS.to_bytes(6, "little")
    before = plain[: plain.index(address, plain.index(b":\x08raw"))]
    numbered = 1 + 1 + 1 + 3 * 3 + 1 + 1
    text = plain.replace(b"l+\x09" + (1 << 60).to_bytes(8, "little"), b"@" + bytes([numbered + 5]))
    found = flamegraph.read(text)

    assert before in text
    assert found.metadata == {"same": ADDRESS}
    assert lines(found) == ["deep 2", "deep 3"]


def test_times_count_from_the_first_sample() -> None:
    stamps = [(1 << 40) + each for each in (0, 500, 1500, 9000)]
    stopped = {Symbol("stopped_at_us"): (1 << 40) + 9700}
    found = flamegraph.read(profile([1, 1, 3, 1, 2, 1], FRAMES, raw_sample_timestamps=stamps, metadata=stopped))

    assert found.starts_us == [0, 9000]
    assert found.stopped_us == 9700


def test_times_that_are_not_one_for_each_sample_are_left_out() -> None:
    found = flamegraph.read(profile([1, 1, 3], FRAMES, raw_sample_timestamps=[1, 2]))

    assert found.starts_us is None
    assert list(found.warnings) == ["2 timestamps for 3 samples: times are left out"]


def test_a_long_time_without_samples_is_a_warning() -> None:
    found = flamegraph.read(profile([1, 1, 2, 1, 2, 1], FRAMES, raw_sample_timestamps=[0, 1000, 900_000]))

    assert list(found.warnings) == [
        "no samples for 899 ms: the 2 before may be of a request that crashed earlier; --last-segment leaves them out"
    ]


def test_negative_deltas_do_not_matter() -> None:
    found = flamegraph.read(profile([1, 1, 2], FRAMES, raw_timestamp_deltas=[-5, -(1 << 50)]))

    assert lines(found) == ["main 2"]


def test_frames_may_lack_names_files_and_lines() -> None:
    nameless: dict[object, object] = {Symbol("name"): None, Symbol("file"): None, Symbol("line"): None}
    found = flamegraph.read(profile([1, 3, 2], {3: nameless}))

    assert lines(found) == [" 2"]
    assert (found.frames[0].file, found.frames[0].line) == ("", 0)


def test_a_dump_without_stacks_keeps_its_totals() -> None:
    found = flamegraph.read(shared("stackprof/merged-cli.dump"))

    assert not found.stacks
    assert len(found.totals) == len(found.frames)
    assert sum(each.self_samples for each in found.totals) > 0


def test_a_dump_of_no_samples_is_read_and_empty() -> None:
    assert sum(flamegraph.read(shared("stackprof/v0.2.27/empty-raw.dump")).weights) == 0


def test_a_page_that_rack_mini_profiler_stored_is_named_by_its_request() -> None:
    found = flamegraph.read(shared("mini_profiler/v5.0.0-store-mp_timers.dump"))

    assert (found.title, found.source, sum(found.weights)) == ("GET /ok", "rack-mini-profiler", 249)


def test_every_type_of_metadata_is_inert() -> None:
    found = flamegraph.read(shared("stackprof/metadata-all-types.dump"))

    assert found.metadata["sj"] == "日本"
    assert sum(found.weights) == 49


def test_a_stack_of_a_thousand_frames_is_read() -> None:
    assert max(map(len, flamegraph.read(shared("stackprof/overflow-2048.dump")).stacks)) == 1060


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({Symbol("a"): 1}, "a hash without the keys mode and frames, so not one of stackprof's"),
        ([1, 2], "a Marshal dump of an Array, where stackprof writes a Hash"),
        ("text", "a Marshal dump of a String, where stackprof writes a Hash"),
    ],
)
def test_a_marshal_file_that_is_not_stackprofs_is_refused(value: object, said: str) -> None:
    with pytest.raises(ProfileError) as caught:
        flamegraph.read(dump(value))

    assert said == str(caught.value)


def test_a_hash_that_lies_about_its_length_is_refused() -> None:
    text = profile([1, 1, 1], {1: frame("a") | {Symbol("edges"): {1: 2}}})
    with pytest.raises(ProfileError, match=r": a length of 4294967295, where "):
        flamegraph.read(text.replace(b":\x0aedges{\x06", b":\x0aedges{\x04\xff\xff\xff\xff"))


def test_a_name_in_an_error_cannot_write_to_a_terminal() -> None:
    with pytest.raises(ProfileError) as caught:
        flamegraph.read(b"\x04\x08o:\x0aa\n\x1b[m\x00")
    assert str(caught.value) == "a Marshal dump of an object a\\n\\x1b[m, which holds no profile"


ids = st.sampled_from([1, 2, 5, 122, 123, 255, 256, 70000, ADDRESS, ADDRESS + 64, (1 << 30) + 5, (1 << 62) + 1])
entries = st.lists(st.tuples(st.lists(ids, min_size=1, max_size=70), st.integers(1, 300)), min_size=1, max_size=12)


@given(entries)
def test_undecoded_entries_are_those_that_were_written(given_entries: list[tuple[list[int], int]]) -> None:
    raw = [number for stack, count in given_entries for number in (len(stack), *stack, count)]
    known = {key: frame(f"f{key}") for stack, _ in given_entries for key in stack}
    found = flamegraph.read(profile(raw, dict(known)))

    assert lines(found) == [";".join(f"f{key}" for key in stack) + f" {count}" for stack, count in given_entries]
    assert not found.warnings


@given(entries, st.data())
def test_a_damaged_dump_is_read_or_refused(given_entries: list[tuple[list[int], int]], data: st.DataObject) -> None:
    raw = [number for stack, count in given_entries for number in (len(stack), *stack, count)]
    text = bytearray(profile(raw, FRAMES, raw_sample_timestamps=[1, 2, 3]))
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(2, len(text) - 1))] = data.draw(st.integers(0, 255))
    read_or_refused(flamegraph.read, bytes(text[: data.draw(st.integers(2, len(text)))]))
