"""The Rubies that the crash middleware must work in: this system's, and a newer one from a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Ruby:
    """How it is started, and its Puma; `mixed` where its stackprof is too old to profile one thread."""

    command: str
    puma: str
    mixed: bool


def find(name: str) -> Ruby:
    """Skips by name where a part is missing."""
    if name == "system":
        command, puma = shutil.which("ruby"), shutil.which("puma")
        if command is None or puma is None:
            pytest.skip("ruby or puma is absent")
    else:
        printed = subprocess.run(
            [REPOSITORY / "tests/second_ruby", "--folder"], capture_output=True, text=True, check=True
        )
        folder = Path(printed.stdout.strip())
        command, puma = str(folder / "ruby"), str(folder / "usr/bin/puma")
        if not Path(command).exists():
            pytest.skip("the newer Ruby is absent; tests/second_ruby brings it")
    mixed = 'exit Gem::Version.new(StackProf::VERSION) < Gem::Version.new("0.2.23")'
    asked = subprocess.run([command, "-rstackprof", "-e", mixed], capture_output=True, check=False)
    if asked.stderr:
        pytest.skip(f"stackprof is absent from {command}")
    return Ruby(command, puma, mixed=not asked.returncode)
