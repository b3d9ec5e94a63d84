"""Connections that backends refused to the proxies: whose, how many, since when."""

from __future__ import annotations

from scaler.messages import Look, Outcome
from tests.scaler.builders import probe, reading, refusing, serving


def test_refused_connections_are_looked_into_only_when_their_count_grew() -> None:
    machine = serving(2)
    machine.tick(reading(refused=0))
    assert [] == machine.emitted(Look)
    machine.tick(reading(refused=1))
    assert [Look()] == machine.emitted(Look)
    machine.tick(refusing({"web1": 1}), detail=True)
    machine.tick(reading(refused=1))
    assert [] == machine.emitted(Look)


def test_two_connections_refused_to_the_proxies_are_death() -> None:
    machine = serving(2)
    machine.tick(refusing({}), refusing({}, "q"))
    machine.tick(refusing({"web1": 1}), refusing({"web1": 1}, "q"), detail=True)
    assert "stopping" == machine.phases()["web1"]


def test_what_a_proxy_counted_before_it_was_first_seen_is_nobodys_death() -> None:
    machine = serving(2)
    machine.tick(refusing({"web1": 7}))
    machine.tick(refusing({"web1": 7}), detail=True)
    assert "serving" == machine.phases()["web1"]
    machine.tick(refusing({"web1": 9}), detail=True)
    assert "stopping" == machine.phases()["web1"]


def test_a_proxy_that_was_silent_for_a_while_brings_no_death_back() -> None:
    machine = serving(2)
    machine.tick(refusing({}), refusing({}, "q"))
    machine.tick(refusing({"web1": 1}), refusing({}, "q"), detail=True)
    probe(machine, "web1", Outcome.READY)
    machine.tick(refusing({}, "q"), silent=("p",), detail=True)
    machine.tick(refusing({"web1": 1}), refusing({}, "q"))
    machine.tick(refusing({"web1": 1}), refusing({"web2": 1}, "q"), detail=True)
    assert {"web1": "serving", "web2": "serving"} == machine.phases()


def test_a_restarted_proxy_counts_from_nothing() -> None:
    machine = serving(2)
    machine.tick(refusing({"web1": 5}))
    machine.tick(refusing({"web1": 5}), detail=True)
    machine.tick(refusing({"web1": 2}, series="t"), detail=True)
    assert "stopping" == machine.phases()["web1"]


def test_only_what_is_refused_since_the_last_look_counts() -> None:
    machine = serving(2)
    machine.tick(refusing({}))
    machine.tick(refusing({"web1": 1}), detail=True)
    probe(machine, "web1", Outcome.READY)
    machine.tick(refusing({"web1": 2}), detail=True)
    assert "serving" == machine.phases()["web1"]


def test_one_refused_connection_before_the_first_sight_counts_nothing() -> None:
    machine = serving(2)
    machine.tick(refusing({"web1": 1}))
    machine.tick(refusing({"web1": 1}), detail=True)
    probe(machine, "web1", Outcome.REFUSED)
    assert "serving" == machine.phases()["web1"]


def test_connections_refused_by_what_is_unknown_or_warming_are_nobodys_death() -> None:
    machine = serving(1, min=2)
    machine.start("web2")
    machine.tick(refusing({}))
    machine.tick(refusing({"web2": 5, "web77": 5}), detail=True)
    assert {"web1": "serving", "web2": "warming"} == machine.phases()
