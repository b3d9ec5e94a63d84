"""A hand of each quick kind, in a fleet of its own that is gone after the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.scaler.actuators.hands import Hand, docker_hand, process_hand

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engine import Engine


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Hand]:
    hand = process_hand(tmp_path)
    yield hand
    actuator = hand.open()
    for found in actuator.running().found:
        actuator.stop(found.name, found.host, 0)


@pytest.fixture
def containers(engine: Engine, tmp_path: Path) -> Iterator[Hand]:
    hand = docker_hand(engine, tmp_path)
    yield hand
    hand.close()
    engine.remove_fleet(hand.settings.fleet)
