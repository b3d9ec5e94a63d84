"""The writer of the access log: nothing waits for it, and what it cannot write is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from addon import access_file
from addon.access_file import AccessFile

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def opened(path: Path, *, rotate_size: int = 10_000, keep: int = 2) -> tuple[AccessFile[str], list[str]]:
    said: list[str] = []
    return AccessFile(str(path), str, said.append, rotate_size=rotate_size, keep=keep), said


def test_every_line_is_there_after_the_end(tmp_path: Path) -> None:
    file, said = opened(tmp_path / "logs" / "access.log", rotate_size=1_000_000)
    file.start()
    for number in range(5000):
        file.add(f"line {number}")
    file.close(5.0)
    assert [f"line {number}" for number in range(5000)] == (tmp_path / "logs" / "access.log").read_text().splitlines()
    assert said == []


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    file, _ = opened(tmp_path / "access.log")
    file.add("line")
    file._write_all()
    assert (tmp_path / "access.log").stat().st_mode & 0o777 == 0o600


def test_a_full_file_is_put_aside_and_so_many_are_kept(tmp_path: Path) -> None:
    file, _ = opened(tmp_path / "access.log", rotate_size=5, keep=2)
    for word in ("first", "second", "third", "fourth"):
        file.add(word)
        file._write_all()
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert {"access.log.1": "fourth\n", "access.log.2": "third\n"} == kept


def test_with_none_to_keep_a_full_file_is_removed(tmp_path: Path) -> None:
    file, _ = opened(tmp_path / "access.log", rotate_size=5, keep=0)
    file.add("first")
    file._write_all()
    assert [] == list(tmp_path.iterdir())


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    file, _ = opened(tmp_path / "access.log")
    file.add("before")
    file._write_all()
    (tmp_path / "access.log").rename(tmp_path / "moved.log")
    file.add("after")
    file._write_all()
    assert ("before\n", "after\n") == ((tmp_path / "moved.log").read_text(), (tmp_path / "access.log").read_text())


def test_above_the_limit_lines_are_dropped_counted_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_file, "LIMIT", 3)
    file, said = opened(tmp_path / "access.log")
    for number in range(5):
        file.add(str(number))
    assert 2 == file.dropped
    file._write_all()
    assert ["access log: 2 requests were not written down"] == said
    assert "0\n1\n2\n" == (tmp_path / "access.log").read_text()


def test_a_file_that_cannot_be_written_is_said_once_and_what_was_lost_when_it_can(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    file, said = opened(path)
    for word in ("one", "two"):
        file.add(word)
        file._write_all()
    assert [f"access log {path} cannot be written: Is a directory"] == said
    path.rmdir()
    file.add("three")
    file._write_all()
    assert "access log: 2 requests were not written down" == said[-1]
    assert "three\n" == path.read_text()
