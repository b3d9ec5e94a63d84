from __future__ import annotations

from typing import TYPE_CHECKING

from fleet.settings import load
from stoker.parts import all_parts, variables

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_children_get_the_token_of_a_file_by_their_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STOKER_PROFILE_TOKEN", raising=False)
    path = tmp_path / "token"
    path.write_text("hunter2-hunter2-hunter2\n", encoding="utf-8")
    settings = load(None, profile_token_file=path, state_dir=tmp_path)
    assert "hunter2-hunter2-hunter2" == variables(settings)["STOKER_PROFILE_TOKEN"]
    assert "hunter2" not in repr(all_parts(settings, None))


def test_without_a_token_children_get_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STOKER_PROFILE_TOKEN", raising=False)
    assert "STOKER_PROFILE_TOKEN" not in variables(load(None, state_dir=tmp_path))
