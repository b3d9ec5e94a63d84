from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fleet.backend import Backend, Phase
from fleet.registry import Snapshot
from fleet.settings import load
from fleet.snapshot_file import SnapshotFile, snapshot_file

if TYPE_CHECKING:
    from pathlib import Path

SNAPSHOT = Snapshot(
    17,
    {
        "production1": Backend("production1", Phase.SERVING, "http://10.0.0.1:3000", spec="a", since=1.5, token=3),
        "production2": Backend("production2", Phase.STARTING),
    },
)


@pytest.fixture
def file(tmp_path: Path) -> SnapshotFile:
    return snapshot_file(load(None, state_dir=tmp_path), "mitmproxy-host-8080")


def test_what_was_written_is_read(file: SnapshotFile) -> None:
    file.write(SNAPSHOT)
    assert SNAPSHOT == file.read()


def test_the_newest_replaces_the_one_before_and_nothing_else_is_left(file: SnapshotFile) -> None:
    file.write(SNAPSHOT)
    file.write(Snapshot(18, {}))
    assert Snapshot(18, {}) == file.read()
    assert [file.path] == list(file.path.parent.iterdir())


def test_without_a_file_there_is_no_data(file: SnapshotFile) -> None:
    assert file.read() is None


def test_a_crash_while_writing_leaves_the_old_one(file: SnapshotFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError("disk full")

    file.write(SNAPSHOT)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        file.write(Snapshot(18, {}))
    assert SNAPSHOT == file.read()
    assert [file.path] == list(file.path.parent.iterdir())


@pytest.mark.parametrize("key", ["fleet", "app"])
def test_the_file_of_another_fleet_or_app_is_refused(file: SnapshotFile, key: str) -> None:
    file.write(SNAPSHOT)
    other = replace(file, fleet="other") if key == "fleet" else replace(file, app="other")
    with pytest.raises(ValueError, match=rf"snapshot .*: {key} must be 'other', was '"):
        other.read()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON: ''"),
        (b"{", "not JSON: '{'"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff", "cannot be read: 'utf-8'"),
        (b"[]", r"must be a JSON object, was '\[\]'"),
        (b'{"fleet":"stoker","app":"production"}', "must hold a generation and backends, held "),
        (
            b'{"fleet":"stoker","app":"production","generation":true,"backends":{}}',
            "must hold a generation and backends",
        ),
        (b'{"fleet":"stoker","app":"production","generation":-1,"backends":{}}', "must hold a generation and backends"),
        (b'{"fleet":"stoker","app":"production","generation":1,"backends":[]}', "must hold a generation and backends"),
    ],
)
def test_what_is_no_snapshot_is_refused_in_one_line(file: SnapshotFile, content: bytes, said: str) -> None:
    file.write(SNAPSHOT)
    file.path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^snapshot .*\.json: {said}") as caught:
        file.read()
    assert "\n" not in str(caught.value)


def test_an_entry_that_cannot_be_believed_is_a_fault(file: SnapshotFile) -> None:
    file.write(SNAPSHOT)
    content = json.loads(file.path.read_text())
    content["backends"]["production2"]["url"] = "http://8.8.8.8:80"
    content["backends"]["web1"] = 5
    file.path.write_text(json.dumps(content))
    snapshot = file.read()
    assert snapshot is not None
    assert {"production1": SNAPSHOT.backends["production1"]} == snapshot.backends
    assert 2 == len(snapshot.faults)


def test_a_folder_in_its_place_is_said(file: SnapshotFile) -> None:
    file.path.mkdir(parents=True)
    with pytest.raises(ValueError, match=r"cannot be read: .*Is a directory"):
        file.read()
