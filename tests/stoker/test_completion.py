from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def completed(shell: str, words: str) -> str:
    """What the shell is told when the tab key is pressed after these words."""
    asked = {"_STOKER_COMPLETE": f"complete_{shell}", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    asked |= {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args", "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-P", "-m", "stoker"]
    return subprocess.run(argv, env=os.environ | asked, capture_output=True, text=True, check=False, timeout=20).stdout


def test_commands_are_completed() -> None:
    assert {"scale", "scaler"} == set(completed("bash", "stoker sca").split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_options_are_completed_in_every_shell(shell: str) -> None:
    assert "--config" in completed(shell, "stoker doctor --c")
