"""The trace: what was written can be taken again and comes out the same; what is not a trace is said in one line."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from fleet.settings import LifeSettings, PolicySettings
from scaler.course import Course, Faults, steps
from scaler.machine import step
from scaler.messages import StopFailed, Tick
from scaler.simulate import simulate
from scaler.state import Policy, State
from scaler.trace import TraceFile, event_from_json, replay
from tests.scaler.builders import APP, SPEC

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POLICY = Policy(APP, SPEC, PolicySettings(), LifeSettings())
EVENTFUL = Course(
    steps((30.0, 60.0), (80.0, 120.0), (0.0, 400.0)),
    until_s=400.0,
    faults=Faults(
        unstartable=frozenset({"web5"}),
        stuck=frozenset({"web6"}),
        crashes={"web2": 90.0},
        sick={"web1": (100.0, 150.0)},
        store_gone=((130.0, 140.0),),
        store_wiped=(200.0,),
        proxy_silent=((0, (150.0, 160.0)),),
        host_silent=(("local", (170.0, 180.0)),),
    ),
)


def written(path: Path, limit: int = 10**9, course: Course = EVENTFUL) -> State:
    trace = TraceFile(path, POLICY, State(), limit)
    try:
        return simulate(POLICY, course, trace)
    finally:
        trace.close()


def test_a_trace_replays_to_the_same_effects_and_the_same_state(tmp_path: Path) -> None:
    path = tmp_path / "scaler.trace"
    last = written(path)
    steps_again = list(replay(path))
    assert {""} == {again.differs for again in steps_again}
    assert last == steps_again[-1].taken.state
    assert len(path.read_text().splitlines()) - 1 == len(steps_again)


def test_what_is_no_unicode_is_written_and_read_back(tmp_path: Path) -> None:
    path, event = tmp_path / "scaler.trace", StopFailed(1.0, "web1", "cannot read '\udc80'")
    trace = TraceFile(path, POLICY, State(), 10**9)
    trace(event, step(POLICY, State(), event))
    trace.close()
    assert [(event, "")] == [(again.event, again.differs) for again in replay(path)]


def test_a_full_file_is_kept_and_the_next_can_be_replayed_alone(tmp_path: Path) -> None:
    path = tmp_path / "scaler.trace"
    last = written(path, limit=200_000)
    older = path.with_name("scaler.trace.1")
    assert older.stat().st_size < 250_000
    assert {""} == {again.differs for again in replay(older)}
    newer = list(replay(path))
    assert {""} == {again.differs for again in newer}
    assert last == newer[-1].taken.state
    assert {"scaler.trace", "scaler.trace.1"} == {file.name for file in tmp_path.iterdir()}


def test_the_trace_of_an_earlier_run_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "scaler.trace"
    written(path, course=Course(steps((1.0, 5.0)), until_s=5.0))
    before = path.read_text()
    written(path, course=Course(steps((9.0, 5.0)), until_s=5.0))
    assert before == path.with_name("scaler.trace.1").read_text()
    assert before != path.read_text()


def test_a_changed_setting_shows_what_would_have_been_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "scaler.trace"
    written(path)
    lines = path.read_text().splitlines(keepends=True)
    head = json.loads(lines[0])
    head["policy"]["sizes"]["max"] = 2
    path.write_text("".join([json.dumps(head) + "\n", *lines[1:]]))
    differing = [again for again in replay(path) if again.differs]
    assert differing
    assert differing[0].differs.startswith("effects were [")


def test_changed_notes_are_a_difference_too(tmp_path: Path) -> None:
    path = tmp_path / "scaler.trace"
    written(path, course=Course(steps((1.0, 5.0)), until_s=5.0))
    lines = path.read_text().splitlines(keepends=True)
    record = json.loads(lines[1])
    record["notes"] = ["never said"]
    path.write_text("".join([lines[0], json.dumps(record) + "\n", *lines[2:]]))
    assert "notes were ['never said'], are []" == next(replay(path)).differs


def test_a_last_line_that_was_cut_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "scaler.trace"
    written(path, course=Course(steps((1.0, 20.0)), until_s=20.0))
    whole = len(list(replay(path)))
    path.write_bytes(path.read_bytes()[:-10])
    assert whole - 1 == len(list(replay(path)))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("", ":1: not the head of a trace: "),
        ("garbage\n", ":1: not the head of a trace: "),
        ('{"trace": 1}\n', ":1: not the head of a trace: 'policy'"),
        ("[]\n", ":1: not the head of a trace: "),
    ],
)
def test_what_is_not_a_trace_is_said_with_file_and_line(tmp_path: Path, line: str, fault: str) -> None:
    path = tmp_path / "x.trace"
    path.write_text(line)
    with pytest.raises(ValueError, match=r"x\.trace") as caught:
        list(replay(path))
    assert str(caught.value).startswith(f"{path}{fault}")
    assert 1 == len(str(caught.value).splitlines())


@pytest.mark.parametrize(
    "line", ["garbage", "{}", '{"event": {}}', '{"event": {"Nonsense": {}}}', '{"event": {"Tick": {}}}', "[1]", "null"]
)
def test_a_line_in_the_middle_that_is_no_step_is_said_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "x.trace"
    written(path, course=Course(steps((1.0, 5.0)), until_s=5.0))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[1], line + "\n", *lines[2:]]))
    with pytest.raises(ValueError, match=r"x\.trace:3: not a line of a trace: "):
        list(replay(path))


def test_a_trace_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.trace"
    written(path, course=Course(steps((1.0, 5.0)), until_s=5.0))
    path.write_text(path.read_text().replace('{"trace":1,', '{"trace":99,', 1))
    with pytest.raises(ValueError, match=r"x\.trace:1: a trace of version 99; this Stoker reads 1"):
        list(replay(path))


def test_an_unknown_event_is_named() -> None:
    with pytest.raises(ValueError, match="unknown event 'Nonsense'"):
        event_from_json({"Nonsense": {}})


def test_a_replayed_event_is_the_event(tmp_path: Path) -> None:
    path = tmp_path / "x.trace"
    written(path, course=Course(steps((1.0, 5.0)), until_s=5.0))
    first = next(again.event for again in replay(path) if isinstance(again.event, Tick))
    assert first.sighting is not None
    assert replace(first, now=0.0) == Tick(0.0, first.sighting, renewed_at=0.0)


def traced(trace: TraceFile, *at: float) -> None:
    for now in at:
        event = StopFailed(now, "web1", "x" * 2000)
        trace(event, step(POLICY, State(), event))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(options, check=False, capture_output=True).returncode:
        pytest.skip("nobody but root can mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.live
def test_on_a_full_disk_the_scaler_goes_on_and_nothing_is_half_written(small_disk: Path) -> None:
    path = small_disk / "scaler.trace"
    trace = TraceFile(path, POLICY, State(), 10**9)
    with capture_logs() as logs:
        traced(trace, *range(100, 160))
    assert [("not traced until there is room", "warning")] == [(one["event"], one["log_level"]) for one in logs]
    assert path.read_bytes().endswith(b"\n")
    kept = [again.event.now for again in replay(path)]
    assert list(range(100, 100 + len(kept))) == kept
    assert len(kept) > 5
    assert {"scaler.trace"} == {file.name for file in small_disk.iterdir()}
    with capture_logs() as logs:
        path.unlink()
        traced(trace, 165, 175, 176)
        trace.close()
    assert ["traced again"] == [one["event"] for one in logs]
    assert 176.0 == list(replay(path))[-1].event.now


@pytest.mark.live
def test_a_disk_that_is_full_from_the_start_stops_no_scaler(small_disk: Path) -> None:
    (small_disk / "other").write_bytes(b"x" * 60_000)
    with suppress(OSError), (small_disk / "rest").open("wb", buffering=0) as rest:
        while rest.write(b"x" * 4096) == 4096:
            pass
    path = small_disk / "scaler.trace"
    with capture_logs() as logs:
        trace = TraceFile(path, POLICY, State(), 10**9)
        traced(trace, 100, 101, 102)
        (small_disk / "other").unlink()
        traced(trace, 103, 111, 112)
        trace.close()
    assert ["not traced until there is room", "traced again"] == [one["event"] for one in logs]
    assert [111.0, 112.0] == [again.event.now for again in replay(path)]


def test_a_file_that_was_taken_away_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "traces" / "scaler.trace"
    trace = TraceFile(path, POLICY, State(), 3000)
    with capture_logs() as logs:
        shutil.rmtree(path.parent)
        traced(trace, 100, 101, 102)
    assert ["not traced until there is room"] == [one["event"] for one in logs]
    path.parent.mkdir()
    traced(trace, 120)
    trace.close()
    assert [120.0] == [again.event.now for again in replay(path)]
