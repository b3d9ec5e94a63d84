"""Which proxies are missed after the store lost its data, and for how long a silence is timed."""

from __future__ import annotations

import pytest

from fleet.registry import Order, OrderKind, Sighting, detail_of
from scaler.messages import Deposed, Ordered, Publish, Remember, Tick
from tests.scaler.builders import EMPTY, Machine, found, reading, remembered, serving


def test_proxies_that_vanished_with_the_stores_data_are_missed_until_the_store_lists_them_again() -> None:
    machine = serving(2)
    machine.tick(reading("h", outlives_agent=True), reading("m"))
    machine.take(Deposed(machine.now, "the lease ran out or was taken"))
    machine.tick(reading("m"))  # the store came back empty, and of the two only this one still has an agent
    machine.elect(token=2, settled_in_s=4.0)
    machine.wait(4)
    machine.tick(reading("m"))
    machine.adopt(found("web1"), found("web2"), memory=EMPTY)
    assert ["lost by the store, and not heard of since"] == machine.reasons("h")
    assert [Remember("h", lasting=True)] == machine.emitted(Remember)
    machine.tick(reading("m"))
    assert [Remember("h", lasting=True)] == machine.emitted(Remember)  # until the store lists it
    machine.tick(reading("m"), silent=("h",))
    assert ([], {"h", "m"}) == (machine.emitted(Remember), set(machine.state.proxies))
    assert machine.state.proxies["h"].outlives_agent
    assert machine.state.proxies["h"].silent_since is not None


def test_a_holder_in_between_that_did_nothing_does_not_hide_what_the_store_lost() -> None:
    machine = serving(1)
    machine.tick(reading("h", outlives_agent=True), reading("m"))
    machine.take(Deposed(machine.now, "the lease ran out or was taken"))
    machine.tick(reading("m"))
    machine.elect(token=3)
    machine.adopt(found("web1"), memory=EMPTY)
    assert {"h", "m"} == set(machine.state.proxies)


def test_a_proxy_that_left_is_not_missed_when_another_scaler_takes_over() -> None:
    machine = serving(1)
    machine.tick(reading("h", outlives_agent=True), reading("m"))
    machine.tick(reading("m"))
    machine.take(Deposed(machine.now, "the lease ran out or was taken"))
    machine.elect(token=2)
    machine.adopt(found("web1"), memory=remembered("web1", generation=machine.state.generation))
    machine.tick(reading("m"))
    assert (["m"], []) == (list(machine.state.proxies), machine.emitted(Remember))


def test_a_proxy_that_left_long_before_the_store_lost_its_data_is_not_missed() -> None:
    machine = serving(1)
    machine.tick(reading("h", outlives_agent=True), reading("m"))
    machine.tick(reading("m"))
    machine.wait(60)
    machine.tick(reading("m"))
    machine.take(Deposed(machine.now, "the lease ran out or was taken"))
    machine.elect(token=2, settled_in_s=4.0)
    machine.wait(4)
    machine.tick(reading("m"))
    machine.adopt(found("web1"), memory=EMPTY)
    assert ["m"] == list(machine.state.proxies)


def store_lost(machine: Machine, *proxies: str, token: int = 2) -> None:
    """The lease is lost and taken again, and the store holds nothing but these proxies."""
    machine.take(Deposed(machine.now, "the lease ran out or was taken"))
    machine.tick(*(reading(name) for name in proxies))
    machine.elect(token=token)
    machine.adopt(found("web1"), memory=EMPTY)


@pytest.mark.parametrize(("gone_s", "expected"), [(59.9, {"h", "m"}), (60.0, {"m"})])
def test_a_proxy_that_vanished_is_missed_for_a_minute(gone_s: float, expected: set[str]) -> None:
    machine = serving(1)
    machine.tick(reading("h"), reading("m"))
    machine.tick(reading("m"))
    machine.wait(gone_s)
    store_lost(machine, "m")
    assert expected == set(machine.state.proxies)


def test_a_proxy_that_vanished_and_came_back_is_not_missed() -> None:
    machine = serving(1)
    machine.tick(reading("h"), reading("m"))
    machine.tick(reading("m"))
    machine.tick(reading("h"), reading("m"))
    store_lost(machine, "h", "m")
    assert [None, None] == [one.silent_since for one in machine.state.proxies.values()]


@pytest.mark.parametrize(("held_s", "expected"), [(3.9, {"h", "m"}), (4.0, {"m"})])
def test_who_lost_a_lease_before_its_time_misses_what_went_with_it_though_others_acted_since(
    held_s: float, expected: set[str]
) -> None:
    machine = serving(1)
    machine.tick(reading("h", outlives_agent=True), reading("m"))
    machine.wait(held_s)
    machine.take(Deposed(machine.now, "the lease ran out or was taken"))
    machine.tick(reading("m"))
    machine.wait(100)
    machine.tick(reading("m"))
    machine.elect(token=3)
    machine.adopt(found("web1"), memory=remembered("web1", generation=machine.generation + 1))
    assert expected == set(machine.state.proxies)
    kinds = [type(effect) for effect in machine.last.effects if isinstance(effect, Publish | Remember)]
    assert [Remember] * (len(expected) - 1) + [Publish] == kinds


def test_who_lost_a_lease_before_its_time_misses_nobody_that_leaves_later() -> None:
    machine = serving(1)
    machine.tick(reading("h"), reading("m"))
    machine.take(Deposed(machine.now, "the lease ran out or was taken"))
    machine.tick(reading("h"), reading("m"))
    machine.tick(reading("m"))
    assert {"m"} == set(machine.state.proxies)


def test_who_loses_a_lease_before_its_turn_to_act_misses_nobody_by_that() -> None:
    machine = serving(1)
    machine.tick(reading("h"), reading("m"))
    machine.wait(4)
    machine.take(Deposed(machine.now, "the lease ran out or was taken"))
    machine.elect(token=2)
    machine.take(Deposed(machine.now, "the store was lost before the survey"))
    machine.tick(reading("m"))
    assert {"m"} == set(machine.state.proxies)


def test_a_proxy_that_was_silent_before_it_vanished_is_silent_since_then() -> None:
    machine = serving(1)
    machine.tick(reading("h"), reading("m"))
    machine.tick(reading("m"), silent=("h",))
    silent_since = machine.now
    machine.wait(5)
    store_lost(machine, "m")
    assert silent_since == machine.state.proxies["h"].silent_since


def test_a_missed_proxy_is_remembered_by_who_acts_until_it_reports_or_is_forgotten() -> None:
    machine = serving(1)
    machine.tick(reading("h"), reading("m"))
    store_lost(machine, "m")
    machine.take(Deposed(machine.now, "the lease ran out or was taken"))
    machine.tick(reading("m"))
    assert ([], True) == (machine.emitted(Remember), machine.state.proxies["h"].unlisted)
    machine.tick(reading("m"), reading("h"))
    assert (None, False) == (machine.state.proxies["h"].silent_since, machine.state.proxies["h"].unlisted)


def test_a_missed_proxy_that_was_forgotten_is_not_missed_again() -> None:
    machine = serving(1)
    machine.tick(reading("h"), reading("m"))
    store_lost(machine, "m")
    for _ in range(12):
        machine.wait(5)
        machine.tick(reading("m"))
    store_lost(machine, "m", token=3)
    assert {"m"} == set(machine.state.proxies)


def test_who_takes_over_right_after_a_loss_finds_the_missed_proxies_listed_before_the_registry() -> None:
    machine = serving(1)
    machine.tick(reading("h"), reading("m"))
    store_lost(machine, "m")
    kinds = [type(effect) for effect in machine.last.effects if isinstance(effect, Publish | Remember)]
    assert [Remember, Publish] == kinds


def test_whose_lease_ran_out_while_it_took_stock_lists_nobody_again() -> None:
    machine = serving(1)
    machine.tick(reading("h"), reading("m"))
    machine.take(Deposed(machine.now, "the lease ran out or was taken"))
    machine.tick(reading("m"))
    machine.elect(token=2)
    machine.wait(5)
    machine.adopt(found("web1"), memory=EMPTY)
    assert ([], {"h", "m"}) == (machine.emitted(Remember), set(machine.state.proxies))


@pytest.mark.parametrize(("gap_s", "known"), [(5.0, {"m"}), (5.1, {"h", "m"})])
def test_a_silence_is_timed_anew_after_a_time_in_which_nobody_looked(gap_s: float, known: set[str]) -> None:
    machine = serving(1)
    machine.tick(reading("h"), reading("m"))
    for _ in range(13):
        machine.tick(reading("m"), silent=("h",))
        machine.wait(4.7)
    machine.wait(gap_s - 4.7)
    machine.blind()
    machine.tick(reading("m"), silent=("h",))
    assert known == set(machine.state.proxies)


@pytest.mark.parametrize(("gap_s", "since_s"), [(5.0, 5.0), (5.1, 0.0)])
def test_so_is_that_of_one_that_vanished_meanwhile(gap_s: float, since_s: float) -> None:
    machine = serving(1)
    machine.tick(reading("h"), reading("m"))
    machine.tick(reading("m"), silent=("h",))
    machine.wait(gap_s)
    store_lost(machine, "m")
    silent_since = machine.state.proxies["h"].silent_since
    assert silent_since is not None
    assert since_s == pytest.approx(machine.now - silent_since)


def looked(machine: Machine, *names: str, renewed_at: float) -> None:
    """A look in detail, which does not renew the lease, at proxies that have applied all."""
    told = tuple(reading(name, generation=machine.generation) for name in names)
    machine.take(Tick(machine.now, Sighting(told, (), detail=detail_of(told)), renewed_at))


def test_nobody_goes_by_a_look_in_which_a_proxy_is_no_longer_listed_before_the_lease_is_renewed() -> None:
    machine = serving(2)
    machine.tick(reading("h"), reading("m"))
    renewed_at = machine.now
    machine.wait(0.5)
    machine.take(Ordered(machine.now, Order(OrderKind.SCALE, 1)))
    looked(machine, "m", renewed_at=renewed_at)  # the store may have lost its data, and the lease, since
    assert {"web1": "serving", "web2": "serving"} == machine.phases()
    machine.wait(0.5)
    looked(machine, "m", renewed_at=machine.now)  # it has not: that proxy left
    assert {"web1": "serving", "web2": "draining"} == machine.phases()


def test_a_proxy_that_is_no_longer_listed_when_the_lease_is_renewed_has_left() -> None:
    machine = serving(2)
    machine.tick(reading("h"), reading("m"))
    machine.wait(1)
    machine.take(Ordered(machine.now, Order(OrderKind.SCALE, 1)))
    looked(machine, "m", renewed_at=machine.now)
    assert {"web1": "serving", "web2": "draining"} == machine.phases()


def test_no_drain_is_over_by_a_look_in_which_a_proxy_is_no_longer_listed_before_the_lease_is_renewed() -> None:
    machine = serving(2)
    machine.take(Ordered(machine.now, Order(OrderKind.SCALE, 1)))
    looked(machine, "h", "m", renewed_at=machine.now)
    machine.publish()
    renewed_at = machine.now
    machine.wait(0.5)
    looked(machine, "m", renewed_at=renewed_at)
    assert "draining" == machine.phases()["web2"]
    machine.wait(0.5)
    looked(machine, "m", renewed_at=machine.now)
    assert "stopping" == machine.phases()["web2"]
