"""How long the scaler waits after failed starts."""

from __future__ import annotations

from scaler.messages import Counted, Outcome, Probed, StartFailed, Stopped
from tests.scaler.builders import (
    Machine,
    census,
    found,
    policy,
    probe,
    serving,
)


def test_back_off_doubles_with_each_failure_up_to_its_limit() -> None:
    machine = Machine(policy({"backoff_max_s": 6.0}))
    machine.lead()
    waits = []
    for number in range(1, 6):
        machine.take(StartFailed(machine.now, f"web{number}", "no image"))
        waits.append(machine.state.start_after - machine.now)
        machine.publish()
        machine.stop(f"web{number}")
        machine.wait(waits[-1])
        machine.tick()
        machine.publish()
    assert [1.0, 2.0, 4.0, 6.0, 6.0] == waits


def test_starts_that_were_ordered_together_fail_as_one() -> None:
    machine = Machine(policy(min=4))
    machine.lead()
    for number in range(1, 5):
        machine.wait(0.1)
        machine.take(StartFailed(machine.now, f"web{number}", "the engine is busy"))
    assert 1 == machine.state.start_failures


def test_a_crash_loop_backs_off_although_each_start_gets_ready() -> None:
    machine = Machine()
    machine.lead()
    waits = []
    for number in range(1, 5):
        name = f"web{number}"
        machine.start(name)
        machine.ready(name)
        machine.rps(0.0, 5)
        probe(machine, name, Outcome.REFUSED, Outcome.REFUSED)
        waits.append(machine.state.start_after - machine.now)
        machine.publish()
        machine.stop(name)
        machine.wait(waits[-1])
        machine.tick()
        machine.publish()
    assert [1.0, 2.0, 4.0, 8.0] == waits


def test_failed_starts_are_forgotten_once_a_later_one_has_lived_for_a_stable_window() -> None:
    machine = Machine()
    machine.lead()
    machine.take(StartFailed(machine.now, "web1", "no image"))
    machine.publish()
    machine.stop("web1")
    machine.rps(0.0, 1)
    machine.start("web2")
    machine.ready("web2")
    machine.rps(0.0, 59)
    assert 1 == machine.state.start_failures
    machine.rps(0.0, 1)
    assert 0 == machine.state.start_failures


def test_one_that_dies_after_its_youth_is_replaced_without_waiting() -> None:
    machine = Machine()
    machine.lead()
    machine.start("web1")
    machine.ready("web1")
    machine.rps(1.0, 60)
    probe(machine, "web1", Outcome.REFUSED, Outcome.REFUSED)
    assert (0, "starting") == (machine.state.start_failures, machine.phases()["web2"])


def test_one_that_dies_after_a_long_boot_is_a_failed_start_and_a_long_boot_forgives_none() -> None:
    machine = Machine(policy({"start_timeout_s": 200.0}))
    machine.lead()
    machine.take(StartFailed(machine.now, "web1", "no image"))
    machine.publish()
    machine.stop("web1")
    machine.rps(0.0, 1)
    machine.start("web2")
    machine.rps(0.0, 70)
    assert 1 == machine.state.start_failures
    machine.take(Counted(machine.now, census(asked_at=machine.now)))
    assert ("failed", 2) == (machine.phases()["web2"], machine.state.start_failures)


def test_one_that_never_gets_ready_tells_its_last_words_when_it_is_removed() -> None:
    machine = Machine()
    machine.lead()
    machine.start("web1")
    machine.take(Probed(machine.now, "web1", Outcome.BAD, "status 500"))
    machine.wait(60.0)
    machine.tick()
    assert "warming for 60 s: status 500" in machine.reasons("web1")
    machine.publish()
    machine.take(Stopped(machine.now, "web1", ("no database", "still none")))
    assert "stopped and removed; last log lines: no database | still none" in machine.reasons("web1")


def test_what_served_keeps_its_last_words_to_itself_when_it_is_stopped() -> None:
    machine = serving(2)
    machine.take(Probed(machine.now, "web1", Outcome.BAD, "status 500"))
    machine.wait(1.0)
    machine.take(Counted(machine.now, census(found("web2"), asked_at=machine.now)))
    machine.publish()
    machine.take(Stopped(machine.now, "web1", ("bye",)))
    assert "stopped and removed" in machine.reasons("web1")
