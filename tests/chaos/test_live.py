"""A short live run by seed, and what the checker and the accounts say of it.

    make chaos SEED=1 SECONDS=180
    make soak MINUTES=60

run more of it; `python -m tests.chaos.live.NAME` runs one of the directed runs at its full length.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.chaos.live.plan import CALM_S, KINDS, drawn
from tests.chaos.live.records import read_records
from tests.chaos.live.run import run

if TYPE_CHECKING:
    from pathlib import Path

SEED, SECONDS = 11, 60.0


@pytest.fixture
def haproxy() -> None:
    if shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin") is None:
        pytest.skip("haproxy is not installed")


@pytest.mark.live
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("haproxy")
async def test_every_promise_holds_while_real_processes_are_broken_by_seed() -> None:
    outcome = await run(drawn(SEED, SECONDS))
    assert [] == outcome.broken
    assert outcome.faults
    assert outcome.moves


def test_the_same_seed_draws_the_same_faults_and_the_same_load() -> None:
    assert drawn(7, 180.0) == drawn(7, 180.0)


def test_every_kind_of_fault_is_drawn_by_some_seed() -> None:
    assert set(KINDS) == {fault.kind for seed in range(20) for fault in drawn(seed, 180.0).faults}


def test_no_fault_is_left_over_in_the_calm_at_the_end() -> None:
    for seed in range(20):
        plan = drawn(seed, 180.0)
        assert all(fault.at < plan.seconds - CALM_S for fault in plan.faults)


def test_a_request_that_never_ended_is_known_as_such(tmp_path: Path) -> None:
    (tmp_path / "web1.txt").write_text("boot 12 - 1.0\nbegin 4 2.0\nbegin 5 2.5\nend 4 3.0\nterm - 4.0\n")
    record = read_records(tmp_path)["web1"]
    assert {4: (2.0, 3.0), 5: (2.5, None)} == record.begun
    assert [1.0] == record.boots
    assert [4.0] == record.terms
