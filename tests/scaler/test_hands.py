"""Acts in the background: every order is answered, one census at a time, a bug of a hand is a failure."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from fleet.registry import Memory
from fleet.settings import InstanceSettings
from scaler import messages
from scaler.definitions import Definitions
from scaler.hands import Hands
from scaler.messages import (
    Adopted,
    Census,
    Counted,
    Event,
    Outcome,
    Placement,
    Start,
    StartFailed,
    Stop,
    StopFailed,
    Stopped,
)
from tests.scaler.builders import SPEC, found, policy, url
from tests.scaler.rig import AtOnce, HandClock, Rig, ScriptedActuator, serving

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaler.actuators.actuator import Failed, Started, StartOrder

START = Start((Placement("web1", "local", SPEC), Placement("web2", "local", SPEC)))


def held() -> bool:
    return True


class Kit:
    def __init__(self, actuator: ScriptedActuator | None = None) -> None:
        self.actuator = actuator or ScriptedActuator(HandClock())
        self.answers: list[Event] = []
        self.asked: list[Mapping[str, str]] = []
        definitions = Definitions(InstanceSettings(), SPEC)
        self.hands = Hands(self.actuator, definitions, self._once, self.answers.append, lambda: 7.0, 2)
        for pool in (self.hands._starts, self.hands._stops, self.hands._counts):
            pool.shutdown()
        self.hands._starts = self.hands._stops = self.hands._counts = AtOnce()

    def _once(self, urls: Mapping[str, str]) -> Mapping[str, Outcome]:
        self.asked.append(urls)
        return {name: Outcome.READY if name == "web1" else Outcome.BAD for name in urls}


class Broken(ScriptedActuator):
    def start(self, orders: Sequence[StartOrder]) -> list[Started | Failed]:
        raise ZeroDivisionError(str(orders[0].name))

    def running(self) -> Census:
        raise OSError("no engine")


class Mute(ScriptedActuator):
    def start(self, orders: Sequence[StartOrder]) -> list[Started | Failed]:
        return super().start(orders[:1])


def test_every_placement_is_answered() -> None:
    kit = Kit()
    kit.hands.start(START, held)
    assert ["web1", "web2"] == [getattr(event, "name", "") for event in kit.answers]


def test_a_bug_of_a_hand_is_a_failed_start() -> None:
    kit = Kit(Broken(HandClock()))
    kit.hands.start(START, held)
    assert [
        StartFailed(7.0, "web1", "ZeroDivisionError: web1"),
        StartFailed(7.0, "web2", "ZeroDivisionError: web2"),
    ] == (kit.answers)


def test_an_order_that_a_play_does_not_mention_has_failed() -> None:
    kit = Kit(Mute(HandClock(), batches=True))
    kit.hands.start(START, held)
    assert StartFailed(7.0, "web2", "the actuator did not say") == kit.answers[-1]


def test_a_stop_is_answered_by_how_it_went() -> None:
    kit = Kit(ScriptedActuator(HandClock(), unstoppable={"web2"}))
    kit.hands.stop(Stop("web1", "local", 1.0), held)
    kit.hands.stop(Stop("web2", "local", 1.0), held)
    assert [Stopped(7.0, "web1"), StopFailed(7.0, "web2", "it does not end")] == kit.answers


def test_a_survey_probes_what_runs_and_names_what_is_ready() -> None:
    there = {name: found(name, running=name != "web3") for name in ("web1", "web2", "web3")}
    kit = Kit(ScriptedActuator(HandClock(), there=there))
    kit.hands.survey(3, Memory(serial=9))
    [adopted] = kit.answers
    assert isinstance(adopted, Adopted)
    assert ({"web1", "web2"}, frozenset({"web1"}), 9, 3) == (
        set(kit.asked[0]),
        adopted.ready,
        adopted.memory.serial,
        adopted.token,
    )


def test_a_census_that_fails_says_so_and_no_host_answered() -> None:
    kit = Kit(Broken(HandClock()))
    kit.hands.count()
    [counted] = kit.answers
    assert isinstance(counted, Counted)
    assert (("no engine",), frozenset()) == (counted.census.faults, counted.census.answered)


def test_a_census_is_not_taken_twice_at_the_same_time() -> None:
    begun, go_on, calls = threading.Event(), threading.Event(), []

    class Slow(ScriptedActuator):
        def running(self) -> Census:
            calls.append(1)
            begun.set()
            go_on.wait(10)
            return super().running()

    answered = threading.Event()
    hands = Hands(
        Slow(HandClock()), Definitions(InstanceSettings(), SPEC), lambda _: {}, lambda _: answered.set(), lambda: 7.0, 2
    )
    try:
        hands.count()
        assert begun.wait(5)
        hands.count()
        go_on.set()
        assert answered.wait(5)
        answered.clear()
        hands.count()
        assert answered.wait(5)
    finally:
        go_on.set()
        hands.close()
    assert 2 == len(calls)


def test_a_start_of_a_definition_that_nobody_knows_here_fails() -> None:
    kit = Kit()
    kit.hands.start(Start((Placement("web1", "local", "other"), Placement("web2", "local", SPEC))), held)
    known = "what spec other stands for is not known here: deploy an image"
    assert [StartFailed(7.0, "web1", known), messages.Started(7.0, "web2", url("web2"), "local")] == kit.answers


def test_what_waited_until_the_lease_was_over_is_not_done() -> None:
    kit = Kit()
    kit.hands.start(START, lambda: False)
    kit.hands.stop(Stop("web3", "local", 1.0), lambda: False)
    late = "not begun: the lease was over before"
    assert [
        StartFailed(7.0, "web1", late),
        StartFailed(7.0, "web2", late),
        StopFailed(7.0, "web3", late),
    ] == kit.answers
    assert ([], []) == (kit.actuator.started, kit.actuator.stopped)


def test_hanging_starts_hold_only_their_own_places() -> None:
    answers: list[Event] = []
    arrived, hang = threading.Semaphore(0), threading.Event()

    class Hanging(ScriptedActuator):
        def start(self, orders: Sequence[StartOrder]) -> list[Started | Failed]:
            if orders[0].name == "web1":
                hang.wait(10)
            return super().start(orders)

    def answer(event: Event) -> None:
        answers.append(event)
        arrived.release()

    definitions = Definitions(InstanceSettings(), SPEC)
    hands = Hands(Hanging(HandClock()), definitions, lambda _: {}, answer, lambda: 7.0, 2)
    try:
        hands.start(Start(tuple(Placement(f"web{number}", "local", SPEC) for number in range(1, 6))), held)
        for _ in range(4):
            assert arrived.acquire(timeout=5)
        assert ["web2", "web3", "web4", "web5"] == sorted(
            one.name for one in answers if isinstance(one, messages.Started)
        )
    finally:
        hang.set()
        hands.close()


def test_the_orders_of_a_play_go_in_one_call() -> None:
    calls: list[int] = []

    class Play(ScriptedActuator):
        def start(self, orders: Sequence[StartOrder]) -> list[Started | Failed]:
            calls.append(len(orders))
            return super().start(orders)

    clock = HandClock()
    serving(Rig(policy(min=3), actuator=Play(clock, batches=True), clock=clock))
    assert [3] == calls
