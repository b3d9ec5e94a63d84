from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flamegraph.files import read_bytes, write_bytes, write_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def broken() -> Iterator[str]:
    yield "half"
    raise RuntimeError("in the middle")


def test_a_file_appears_whole(tmp_path: Path) -> None:
    write_text(str(tmp_path / "out"), ["a", "é"])

    assert read_bytes(tmp_path / "out") == "aé".encode()


def test_a_failure_in_the_middle_leaves_nothing_of_itself(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("old")
    with pytest.raises(RuntimeError):
        write_text(str(out), broken())

    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_device_is_written_in_place() -> None:
    write_bytes("/dev/null", [b"x"])

    assert read_bytes("/dev/null") == b""


def test_text_that_no_encoding_has_is_shown(tmp_path: Path) -> None:
    write_text(str(tmp_path / "out"), ["\udc80"])

    assert read_bytes(tmp_path / "out") == b"\\udc80"
