from __future__ import annotations

from pathlib import Path

import pytest

from fleet.settings import Settings, load
from stoker.settings_docs import example, page, plain_fields, tables

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_page_of_settings_is_up_to_date() -> None:
    assert page() == (ROOT / "docs" / "settings.md").read_text(encoding="utf-8"), "run: make docs"


def test_the_example_is_up_to_date() -> None:
    assert example() == (ROOT / "example" / "stoker.toml").read_text(encoding="utf-8"), "run: make docs"


def test_the_example_parses_to_the_defaults() -> None:
    assert Settings().model_dump() == load(ROOT / "example" / "stoker.toml").model_dump()


def test_every_setting_has_a_sentence() -> None:
    fields = [
        (f"{table}.{name}", field.description) for table, model, _ in tables() for name, field in plain_fields(model)
    ]
    assert [] == [name for name, sentence in fields if not sentence or not sentence.endswith((".", "..."))]
