"""What all three hands must do, with real processes, a real engine and real plays.

A play takes seconds, so each hand goes through one course, and every test looks at a part of what came out.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pytest

from fleet.process import start_mark
from scaler.actuators.actuator import Actuator, Failed, Started, StartOrder
from scaler.actuators.labels import Owner
from scaler.actuators.probe import probe_once
from scaler.actuators.process_file import ProcessFile
from scaler.messages import Census, Found, Outcome
from tests.scaler.actuators.hands import (
    SECRET,
    Hand,
    ansible_hand,
    await_outcome,
    docker_hand,
    folder_of_its_own,
    process_hand,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.engine import Engine

pytestmark = [pytest.mark.live, pytest.mark.timeout(180), pytest.mark.xdist_group("courses")]

GOOD, ALSO_GOOD, EXITS, SILENT, TAKEN, UNKNOWN, BAD, NEVER_STARTED = range(1, 9)


@dataclass
class Course:
    """What one hand answered on its way; results and stops by number."""

    hand: Hand
    first: dict[int, Started | Failed]
    outcomes: dict[int, Outcome]
    again: dict[int, Started | Failed]
    census: Census
    stops: dict[int, str]
    last: Census
    foreign_lives: bool

    def found(self, number: int) -> Found | None:
        return next((one for one in self.census.found if one.name == self.hand.name(number)), None)


def start(actuator: Actuator, hand: Hand, orders: list[StartOrder]) -> dict[int, Started | Failed]:
    """As the control loop does: one call where the hand batches, else all calls at once."""
    batches = [orders] if actuator.batches else [[order] for order in orders]
    with ThreadPoolExecutor(len(batches)) as threads:
        results = [result for batch in threads.map(actuator.start, batches) for result in batch]
    return {int(result.name.removeprefix(hand.settings.app)): result for result in results}


def stop(actuator: Actuator, hand: Hand, numbers: range) -> dict[int, str]:
    def one(number: int) -> str:
        try:
            actuator.stop(hand.name(number), hand.host, 2.0)
        except RuntimeError as error:
            return str(error)
        return "stopped"

    with ThreadPoolExecutor(len(numbers)) as threads:
        return dict(zip(numbers, threads.map(one, numbers), strict=True))


def run(hand: Hand, foreign_lives: Callable[[], bool]) -> Course:
    actuator = hand.open()
    kinds = {GOOD: hand.good, ALSO_GOOD: hand.good, EXITS: hand.exits, SILENT: hand.silent, TAKEN: hand.good}
    kinds |= {UNKNOWN: hand.unknown, BAD: hand.bad}
    first = start(actuator, hand, [hand.order(number, definition) for number, definition in kinds.items()])
    urls = {number: result.url for number, result in first.items() if isinstance(result, Started)}
    await_outcome(urls[GOOD], Outcome.READY)
    await_outcome(urls[ALSO_GOOD], Outcome.READY)
    await_outcome(urls[BAD], Outcome.BAD)
    outcomes = probe_once({str(number): url for number, url in urls.items()}, "/up", 20.0)
    after_restart = hand.open()
    again = start(after_restart, hand, [hand.order(GOOD, hand.good), hand.order(ALSO_GOOD, hand.bad)])
    census = after_restart.running()
    stops = stop(after_restart, hand, range(GOOD, NEVER_STARTED + 1))
    return Course(
        hand,
        first,
        {int(number): outcome for number, outcome in outcomes.items()},
        again,
        census,
        stops,
        after_restart.running(),
        foreign_lives(),
    )


@contextmanager
def container_of_another_fleet(engine: Engine, hand: Hand) -> Iterator[Callable[[], bool]]:
    labels = Owner("another", hand.settings.app).labels(hand.name(TAKEN), hand.order(TAKEN, hand.good).spec)
    container = engine.client.containers.run(engine.image, detach=True, name=hand.name(TAKEN), labels=labels)
    try:
        yield lambda: bool(engine.client.containers.get(container.id or "").status == "running")
    finally:
        container.remove(force=True)
        engine.remove_fleet(hand.settings.fleet)


def process_course(folder: Path) -> Course:
    """The process under the taken name is this one: a hand that touched it would end the test."""
    hand = process_hand(folder)
    name, spec = hand.name(TAKEN), hand.order(TAKEN, hand.good).spec
    mark = start_mark(os.getpid()) or ""
    file = ProcessFile("another", hand.settings.app, name, spec, os.getpid(), mark, "http://127.0.0.1:1")
    hand.settings.state_path.mkdir(parents=True)
    path = hand.settings.state_path / f"{name}.json"
    path.write_text(json.dumps(asdict(file)), encoding="utf-8")
    return run(hand, path.exists)


@pytest.fixture(scope="module", params=["process", "docker", "ansible"])
def course(request: pytest.FixtureRequest) -> Iterator[Course]:
    with folder_of_its_own() as folder:
        if request.param == "process":
            yield process_course(folder)
            return
        engine: Engine = request.getfixturevalue("engine")
        hand = docker_hand(engine, folder) if request.param == "docker" else ansible_hand(engine, folder)
        with container_of_another_fleet(engine, hand) as lives:
            yield run(hand, lives)
        hand.close()


@pytest.mark.parametrize("number", [GOOD, ALSO_GOOD])
def test_what_is_ordered_starts_and_becomes_ready(course: Course, number: int) -> None:
    started = course.first[number]
    assert isinstance(started, Started)
    assert started.host == course.hand.host
    assert started.url.startswith("http://127.0.0.1:")
    assert course.outcomes[number] is Outcome.READY


def test_starts_at_the_same_time_get_addresses_of_their_own(course: Course) -> None:
    urls = [result.url for result in course.first.values() if isinstance(result, Started)]
    assert len(set(urls)) == len(urls)


def test_an_app_that_never_listens_starts_and_is_never_ready(course: Course) -> None:
    assert isinstance(course.first[SILENT], Started)
    assert course.outcomes[SILENT] in {Outcome.REFUSED, Outcome.BAD}


def test_an_app_that_answers_500_starts_and_is_bad(course: Course) -> None:
    assert course.outcomes[BAD] is Outcome.BAD


def test_one_that_exits_at_once_is_known_by_its_code_and_last_words(course: Course) -> None:
    found = course.found(EXITS)
    assert found is not None
    assert not found.running
    assert found.exit_code == 3
    assert [line[-len("the password is [hidden]") :] for line in found.log] == ["the password is [hidden]"]
    failed = course.first[EXITS]
    assert isinstance(failed, Started) or failed.exit_code == 3


def test_no_env_value_is_in_any_answer(course: Course) -> None:
    assert SECRET not in repr((course.first, course.again, course.census, course.stops))


def test_an_unknown_image_or_program_is_refused_by_name(course: Course) -> None:
    failed = course.first[UNKNOWN]
    assert isinstance(failed, Failed)
    assert "unknown" in failed.reason or "there-is-no-such-program" in failed.reason
    assert "\n" not in failed.reason
    assert course.found(UNKNOWN) is None


def test_a_name_taken_by_another_fleet_is_refused_and_left_alone(course: Course) -> None:
    failed = course.first[TAKEN]
    assert isinstance(failed, Failed)
    assert "this fleet" in failed.reason or "this instance" in failed.reason
    assert course.found(TAKEN) is None
    assert course.stops[TAKEN] == "stopped"
    assert course.foreign_lives


def test_starting_what_runs_is_success_after_a_restart_too(course: Course) -> None:
    assert course.again[GOOD] == course.first[GOOD]


def test_the_same_name_with_another_spec_is_refused(course: Course) -> None:
    failed = course.again[ALSO_GOOD]
    assert isinstance(failed, Failed)
    assert course.found(ALSO_GOOD) is not None


def test_a_census_finds_what_another_scaler_started(course: Course) -> None:
    started = course.first[GOOD]
    assert isinstance(started, Started)
    spec = course.hand.order(GOOD, course.hand.good).spec
    assert course.found(GOOD) == Found(started.name, started.host, spec, started.url)
    assert course.census.asked_at == 7.0
    assert course.census.answered == course.census.hosts == {course.hand.host}


def test_stopping_removes_and_absent_is_success(course: Course) -> None:
    assert course.stops == dict.fromkeys(range(GOOD, NEVER_STARTED + 1), "stopped")
    assert course.last.found == ()
    assert probe_once({"one": getattr(course.first[GOOD], "url", "")}, "/up", 20.0) == {"one": Outcome.REFUSED}
