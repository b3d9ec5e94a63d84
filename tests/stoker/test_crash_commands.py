from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def stoker(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "stoker", "crashes", *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "STOKER_REDIS_URL": "redis://127.0.0.1:1/0"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("words", [("--help",), ("show", "--help"), ("top", "--help")])
def test_help_has_an_example(tmp_path: Path, words: tuple[str, ...]) -> None:
    result = stoker(tmp_path, *words)

    assert 0 == result.returncode
    assert "Example: stoker crashes" in result.stdout


@pytest.mark.parametrize("words", [(), ("--json",), ("show", "1f"), ("top",)])
def test_a_redis_that_is_gone_is_one_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    result = stoker(tmp_path, *words)

    assert (1, "") == (result.returncode, result.stdout)
    assert [True] == ["127.0.0.1:1" in line for line in result.stderr.splitlines()]


@pytest.mark.parametrize("words", [("--since", "5x"), ("top", "--since", "5x")])
def test_a_span_that_is_none_is_one_line_and_asked_wrongly(tmp_path: Path, words: tuple[str, ...]) -> None:
    result = stoker(tmp_path, *words)

    assert (2, "stoker: --since: must be a span as 90s, 30m, 1h or 2d, was '5x'\n") == (
        result.returncode,
        result.stderr,
    )
