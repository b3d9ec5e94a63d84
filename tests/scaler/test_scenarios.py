"""Plays every scenario of tests/scenarios; the text is the test.

    REWRITE_SCENARIOS=1 python -m pytest tests/scaler/test_scenarios.py

rewrites the part under the rule: read the diff before you keep it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.scaler.scenario import RULE, played

FOLDER = Path(__file__).parents[1] / "scenarios"
FILES = sorted(FOLDER.glob("*.txt"))
WALKS = Path(__file__).parents[2] / "docs" / "SYSTEM.md"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_scaler_does_as_the_scenario_says(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    found = played(text)
    if os.environ.get("REWRITE_SCENARIOS"):
        file.write_text(found, encoding="utf-8")
        return
    assert text == found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_scenario_begins_with_its_sentence_and_expects_something(file: Path) -> None:
    script, _, expected = file.read_text(encoding="utf-8").partition(f"\n{RULE}\n")
    assert script.startswith("# ")
    assert expected.strip()


def test_every_walk_of_the_documentation_has_its_scenario() -> None:
    named = set(re.findall(r"tests/scenarios/([\w-]+)\.txt", WALKS.read_text(encoding="utf-8")))
    assert 7 <= len(named)
    assert set() == named - {file.stem for file in FILES}


def test_a_line_that_is_not_understood_is_named() -> None:
    with pytest.raises(ValueError, match="not a line of a script: 'rps many until 3'"):
        played("rps many until 3\n")
    with pytest.raises(ValueError, match=r"not a setting of .*: 'minimum'"):
        played("set minimum 3\n")


def test_playing_the_same_script_twice_gives_the_same_text() -> None:
    script = "rps 40 until 90\ncrash web1 at 60\n"
    assert played(script) == played(script)
