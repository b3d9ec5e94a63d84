"""The middleware's own tests, in each Ruby."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.flamegraph.rails.rubies import REPOSITORY

if TYPE_CHECKING:
    from tests.flamegraph.rails.rubies import Ruby

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]


@pytest.mark.parametrize("file", sorted(file.name for file in REPOSITORY.glob("tests/flamegraph/rails/test_*.rb")))
def test_the_ruby_tests_pass(ruby: Ruby, file: str) -> None:
    found = subprocess.run(
        [ruby.command, "-w", REPOSITORY / "tests/flamegraph/rails" / file], capture_output=True, text=True, check=False
    )

    assert 0 == found.returncode, found.stdout + found.stderr
    assert "" == "".join(line for line in found.stderr.splitlines() if "stoker_crashes.rb" in line and "warn" in line)
