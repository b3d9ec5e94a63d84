"""The table itself: complete, without a way back, and drawn in the documentation as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.backend import CAPACITY, LEAVING, Phase
from fleet.settings import LifeSettings
from scaler.transitions import TRANSITIONS, Signal, deadline_s, diagram

SYSTEM = Path(__file__).parents[2] / "docs" / "SYSTEM.md"


def test_the_documentation_draws_the_table() -> None:
    drawn = SYSTEM.read_text(encoding="utf-8").partition("```mermaid\n")[2].partition("\n```")[0]
    assert diagram() == drawn


def test_the_diagram_has_a_line_for_every_row() -> None:
    assert len(TRANSITIONS) + 3 == len(diagram().splitlines())
    assert "    warming --> serving: ready" in diagram().splitlines()


def test_no_row_leads_back_into_capacity() -> None:
    assert [] == [row for row, after in TRANSITIONS.items() if row[0] in LEAVING and after in CAPACITY]


def test_every_phase_but_the_last_can_be_left_and_every_signal_is_used() -> None:
    assert set(Phase) - {Phase.GONE} == {phase for phase, _ in TRANSITIONS}
    assert set(Signal) == {signal for _, signal in TRANSITIONS}


def test_every_phase_that_has_a_deadline_has_a_row_for_it_and_only_those() -> None:
    life = LifeSettings()
    timed = {phase for phase in Phase if deadline_s(life, phase, 0.0) is not None}
    assert timed == {phase for phase, signal in TRANSITIONS if signal is Signal.OVERDUE}
    assert set(Phase) - timed == {Phase.SERVING, Phase.GONE}


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (Phase.STARTING, 1.0 + 32.0),
        (Phase.WARMING, 1.0),
        (Phase.DRAINING, 2.0),
        (Phase.STOPPING, 4.0),
        (Phase.FAILED, 4.0),
    ],
)
def test_each_deadline_is_its_setting(phase: Phase, expected: float) -> None:
    life = LifeSettings(start_timeout_s=1.0, drain_timeout_s=2.0, stop_timeout_s=4.0)
    assert expected == deadline_s(life, phase, 32.0)
