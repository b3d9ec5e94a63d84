"""The promises under every fault, in simulated hours; and each fault that was found on the way, as a scenario.

    python -m tests.chaos.simulated --seeds 0-999 --keep tests/chaos/scenarios

runs more of them, and writes what breaks a promise as a scenario.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from tests.chaos.simulated.plan import drawn
from tests.chaos.simulated.shrink import broken
from tests.chaos.simulated.text import RULE, from_text, to_text
from tests.chaos.simulated.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))
SEEDS, SHARD = 200, 10


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("first", range(0, SEEDS, SHARD))
def test_every_promise_holds_through_an_hour_of_faults(first: int) -> None:
    found = [f"seed {seed}: {error}" for seed in range(first, first + SHARD) if (error := broken(drawn(seed)))]
    assert [] == found


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_what_once_broke_a_promise_does_no_longer(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# ")
    error = broken(from_text(text))
    assert text.partition(f"\n{RULE}\n")[2].strip() == (str(error) if error else "every promise held")


def test_the_same_seed_gives_the_same_run() -> None:
    assert World(drawn(3, 900.0)).run() == World(drawn(3, 900.0)).run()


def test_a_plan_is_read_back_from_its_text() -> None:
    plan = drawn(7)
    again = from_text(to_text(plan))
    assert to_text(plan) == to_text(again)
    assert (plan.policy(), plan.faults, plan.load) == (again.policy(), again.faults, again.load)


def test_a_line_that_is_not_understood_is_named() -> None:
    with pytest.raises(ValueError, match="not a line of a scenario: 'at noon drink tea'"):
        from_text("at noon drink tea\n")
