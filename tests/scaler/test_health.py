"""Ready, failing, dead: what probes, censuses and the proxies' refused connections make of single instances."""

from __future__ import annotations

from fleet.registry import Order, OrderKind
from scaler.messages import Census, Closed, Counted, Ordered, Outcome, Stopped, Watch
from tests.scaler.builders import (
    Machine,
    census,
    found,
    policy,
    probe,
    reading,
    refusing,
    serving,
    told,
    url,
)


def test_two_refused_probes_in_a_row_are_death() -> None:
    machine = serving(2)
    probe(machine, "web1", Outcome.REFUSED)
    assert "serving" == machine.phases()["web1"]
    probe(machine, "web1", Outcome.REFUSED)
    assert {"web1": "stopping", "web2": "serving", "web3": "starting"} == machine.phases()
    assert "connections refused 2 times in a row" in machine.reasons("web1")


def test_what_died_of_two_refused_probes_tells_its_last_words_when_it_has_stopped() -> None:
    machine = serving(2)
    probe(machine, "web1", *[Outcome.REFUSED] * 2)
    machine.publish()
    machine.take(Stopped(machine.now, "web1", ("out of memory",), 1))
    assert "stopped and removed; exit code 1; last log lines: out of memory" in machine.reasons("web1")


def test_one_refused_probe_is_followed_by_close_watching_and_forgotten_after_a_good_one() -> None:
    machine = serving(2)
    probe(machine, "web1", Outcome.REFUSED)
    assert [Watch((("web1", url("web1"), 0.1), ("web2", url("web2"), 10.0)))] == machine.emitted(Watch)
    probe(machine, "web1", Outcome.READY)
    assert [Watch((("web1", url("web1"), 10.0), ("web2", url("web2"), 10.0)))] == machine.emitted(Watch)
    probe(machine, "web1", Outcome.REFUSED)
    assert "serving" == machine.phases()["web1"]
    probe(machine, "web1", Outcome.REFUSED)
    assert "stopping" == machine.phases()["web1"]


def test_a_bad_answer_after_a_refused_probe_ends_the_close_watching() -> None:
    machine = serving(2)
    probe(machine, "web1", Outcome.REFUSED, Outcome.BAD)
    assert [Watch((("web1", url("web1"), 10.0), ("web2", url("web2"), 10.0)))] == machine.emitted(Watch)


def test_refused_probes_with_another_answer_between_them_are_not_in_a_row() -> None:
    machine = serving(2)
    probe(machine, "web1", Outcome.REFUSED, Outcome.TIMED_OUT, Outcome.REFUSED)
    assert "serving" == machine.phases()["web1"]


def test_a_dead_one_is_replaced_at_the_highest_count_too() -> None:
    machine = serving(3, max=3, min=3)
    probe(machine, "web2", Outcome.REFUSED, Outcome.REFUSED)
    assert ["serving", "stopping", "serving", "starting"] == list(machine.phases().values())


def test_three_bad_answers_in_a_row_are_failing_and_lead_to_a_replacement_first() -> None:
    machine = serving(3)
    probe(machine, "web1", Outcome.BAD, Outcome.TIMED_OUT)
    machine.rps(20.0, 1)
    assert 3 == len(machine.phases())
    probe(machine, "web1", Outcome.BAD)
    assert ["web1"] == told(machine, "fault")
    machine.rps(20.0, 1)
    assert {"web1": "serving", "web4": "starting"} == {
        name: phase for name, phase in machine.phases().items() if name in {"web1", "web4"}
    }
    machine.start("web4")
    machine.ready("web4")
    machine.rps(20.0, 1)
    machine.look(dict.fromkeys(machine.phases(), 5))
    assert "draining" == machine.phases()["web1"]


def test_a_failing_one_that_answers_again_stays_and_its_replacement_goes() -> None:
    machine = serving(3)
    probe(machine, "web1", *[Outcome.BAD] * 3)
    machine.rps(20.0, 1)
    probe(machine, "web1", Outcome.READY)
    machine.rps(20.0, 1)
    assert {"web1": "serving", "web4": "stopping"} == {
        name: phase for name, phase in machine.phases().items() if name in {"web1", "web4"}
    }


def test_failing_ones_are_replaced_one_at_a_time() -> None:
    machine = serving(5)
    for name in ("web1", "web2"):
        probe(machine, name, *[Outcome.BAD] * 3)
    machine.rps(40.0, 3)
    assert 6 == len(machine.phases())


def test_none_is_replaced_while_more_than_half_fail() -> None:
    machine = serving(3)
    for name in ("web1", "web2"):
        probe(machine, name, *[Outcome.BAD] * 3)
    machine.rps(20.0, 3)
    assert 3 == len(machine.phases())
    assert ["2 of 3 serving fail their probes: replacing none"] == machine.reasons("widespread-failure")
    probe(machine, "web2", Outcome.READY)
    machine.rps(20.0, 1)
    assert 4 == len(machine.phases())


def test_exactly_half_failing_is_still_replaced() -> None:
    machine = serving(2)
    probe(machine, "web1", *[Outcome.BAD] * 3)
    machine.rps(10.0, 1)
    assert 3 == len(machine.phases())


def test_the_last_that_serves_is_not_replaced_however_it_fails() -> None:
    machine = serving(1)
    probe(machine, "web1", *[Outcome.BAD] * 9)
    machine.rps(1.0, 5)
    assert {"web1": "serving"} == machine.phases()


def test_a_failing_one_at_the_highest_count_is_replaced_by_the_surge_alone() -> None:
    machine = serving(3, max=3, min=3)
    probe(machine, "web1", *[Outcome.BAD] * 3)
    machine.rps(1.0, 2)
    assert 4 == len(machine.phases())
    strict = serving(3, max=3, min=3)
    strict.policy = policy({"surge": 0}, max=3, min=3)
    probe(strict, "web1", *[Outcome.BAD] * 3)
    strict.rps(1.0, 2)
    assert 3 == len(strict.phases())


def test_a_close_replaces_nothing() -> None:
    machine = serving(3)
    probe(machine, "web1", *[Outcome.BAD] * 3)
    machine.take(Closed(machine.now))
    machine.rps(0.0, 2)
    assert set(machine.phases()) == {"web1", "web2", "web3"}


def test_a_warming_one_that_is_overdue_says_what_its_probes_saw() -> None:
    machine = Machine()
    machine.lead()
    machine.start("web1")
    probe(machine, "web1", Outcome.TIMED_OUT, detail="no answer within 2 s")
    machine.wait(60)
    machine.tick()
    assert "failed" == machine.phases()["web1"]
    assert "warming for 60 s: no answer within 2 s" in machine.reasons("web1")


def test_a_refused_probe_of_a_warming_one_is_only_its_boot() -> None:
    machine = Machine()
    machine.lead()
    machine.start("web1")
    probe(machine, "web1", *[Outcome.REFUSED] * 9, detail="connection refused")
    assert {"web1": "warming"} == machine.phases()


def test_probes_of_what_is_unknown_or_leaving_are_late() -> None:
    machine = serving(2)
    probe(machine, "web9", Outcome.READY)
    assert ("late: probe of web9, which is not known",) == machine.last.notes
    probe(machine, "web1", Outcome.REFUSED, Outcome.REFUSED, Outcome.READY)
    assert ("late: probe of web1, which is stopping",) == machine.last.notes


def test_an_ended_process_is_dead_with_its_exit_code_and_last_words() -> None:
    machine = serving(2)
    machine.wait(1)
    ended = found("web2", running=False, exit_code=137, log=("out of", "memory"))
    machine.take(Counted(machine.now, census(found("web1"), ended, asked_at=machine.now)))
    assert "stopping" == machine.phases()["web2"]
    assert ["it ended with exit code 137; last log lines: out of | memory"] == machine.reasons("web2")


def test_a_vanished_one_is_dead_unless_its_host_did_not_answer() -> None:
    machine = serving(2)
    machine.wait(1)
    machine.take(Counted(machine.now, census(found("web1"), asked_at=machine.now, answered=())))
    assert {"web1": "serving", "web2": "serving"} == machine.phases()
    assert ["no answer from local"] == machine.reasons("host-silent")
    machine.take(Counted(machine.now, census(found("web1"), asked_at=machine.now)))
    assert "stopping" == machine.phases()["web2"]
    assert ["its container or process is gone"] == machine.reasons("web2")


def test_a_census_that_began_before_the_phase_did_says_nothing_about_it() -> None:
    machine = serving(2)
    machine.take(Counted(machine.now + 1, census(asked_at=machine.now)))
    assert {"web1": "serving", "web2": "serving"} == machine.phases()


def test_what_was_removed_while_a_census_was_taken_is_no_stray_to_it() -> None:
    machine = serving(2)
    probe(machine, "web2", *[Outcome.REFUSED] * 2)
    machine.publish()
    asked_at = machine.now + 0.2
    machine.wait(0.4)
    machine.stop("web2")
    machine.take(Counted(machine.now + 0.1, census(found("web1"), found("web2"), asked_at=asked_at)))
    assert "web2" not in machine.phases()
    machine.take(Counted(machine.now + 0.3, census(found("web1"), found("web2"), asked_at=machine.now + 0.2)))
    assert "draining" == machine.phases()["web2"]
    assert {} == machine.state.removed


def test_a_stray_is_removed_once_no_proxy_sends_to_it() -> None:
    machine = serving(1)
    machine.wait(1)
    machine.take(Counted(machine.now, census(found("web1"), found("web8"), asked_at=machine.now)))
    machine.publish()
    assert ([], "draining", 8) == (machine.stopped(), machine.phases()["web8"], machine.state.serial)
    machine.tick(reading(generation=machine.generation, leaving={"web8": 1}))
    assert "draining" == machine.phases()["web8"]
    machine.tick(reading(generation=machine.generation))
    machine.publish()
    assert ["web8"] == machine.stopped()


def test_a_stray_that_has_ended_is_removed_at_once() -> None:
    machine = serving(1)
    machine.wait(1)
    there = census(found("web1"), found("web8", running=False), asked_at=machine.now)
    machine.take(Counted(machine.now, there))
    machine.publish()
    assert ["web8"] == machine.stopped()


def test_a_draining_one_that_dies_is_stopped() -> None:
    machine = serving(2)
    machine.take(Closed(machine.now))
    machine.look({"web1": 1, "web2": 1})
    machine.wait(1)
    machine.take(Counted(machine.now, census(found("web1"), asked_at=machine.now)))
    assert {"web1": "draining", "web2": "stopping"} == machine.phases()


def test_a_census_that_could_not_be_taken_is_told_once() -> None:
    machine = serving(1)
    for _ in range(3):
        machine.wait(1)
        machine.take(Counted(machine.now, Census(machine.now, faults=("the engine does not answer",))))
    assert {"web1": "serving"} == machine.phases()
    assert ["the engine does not answer"] == machine.reasons("census")
    assert ("local",) == machine.state.hosts


def test_a_refused_connection_and_a_refused_probe_are_two() -> None:
    machine = serving(2)
    machine.tick(refusing({}))
    machine.tick(refusing({"web1": 1}), detail=True)
    assert "serving" == machine.phases()["web1"]
    probe(machine, "web1", Outcome.REFUSED)
    assert "stopping" == machine.phases()["web1"]


def test_a_missed_probe_is_not_yet_failing_whatever_else_warms() -> None:
    machine = serving(3)
    machine.take(Ordered(machine.now, Order(OrderKind.SCALE, 4)))
    probe(machine, "web1", Outcome.BAD)
    machine.rps(20.0, 2)
    assert 4 == len(machine.phases())


def test_a_good_answer_begins_the_count_of_bad_ones_again() -> None:
    machine = serving(3)
    probe(machine, "web1", Outcome.BAD, Outcome.BAD, Outcome.READY, Outcome.BAD, Outcome.BAD)
    assert [] == told(machine, "fault")
    probe(machine, "web1", Outcome.BAD)
    assert ["web1"] == told(machine, "fault")


def test_nothing_is_ordered_on_a_host_that_does_not_answer() -> None:
    machine = Machine(policy(min=2))
    machine.elect()
    machine.adopt(hosts=("a", "b"))
    machine.wait(1)
    machine.take(Counted(machine.now, census(hosts=("a", "b"), answered=("b",), asked_at=machine.now)))
    machine.take(Ordered(machine.now, Order(OrderKind.SCALE, 4)))
    assert ["a", "b", "b", "b"] == [one.host for one in machine.instances.values()]
