"""What is published after data was lost: proxies that cannot be reached may go by a later generation than is stored."""

from __future__ import annotations

import pytest

from fleet.backend import Phase
from fleet.registry import Order, OrderKind
from scaler.messages import Ordered, Publish, Published, Unpublished
from tests.scaler.builders import Machine, found, reading, remembered, serving


def drains() -> Machine:
    """One of two drains, published with generation 20; there is one proxy, which goes by 19."""
    machine = serving(2)
    machine.take(Ordered(machine.now, Order(OrderKind.SCALE, 1, "1-1")))
    machine.look({"web1": 1, "web2": 0})
    machine.generation = 19
    machine.publish()
    machine.tick(reading(generation=19))
    assert "draining" == machine.phases()["web2"]
    return machine


@pytest.mark.parametrize(("stored", "after"), [(5, 9), (15, 15)])
def test_a_generation_comes_after_all_that_a_proxy_showed_that_was_stored_and_that_this_scaler_published(
    stored: int, after: int
) -> None:
    machine = Machine()
    machine.tick(reading(generation=9))
    machine.tick(silent=("p",))
    machine.elect()
    machine.adopt(found("web1"), memory=remembered("web1", generation=stored, desired=1))
    assert after == machine.change().after
    machine.publish()
    machine.take(Ordered(machine.now, Order(OrderKind.SCALE, 2, "1-1")))
    assert machine.generation == machine.change().after


def test_a_proxy_that_goes_by_a_later_generation_has_not_applied_ours() -> None:
    machine = drains()
    machine.tick(reading(generation=25))
    assert "draining" == machine.phases()["web2"]
    change = machine.change()
    assert (25, {"web1": Phase.SERVING, "web2": Phase.DRAINING}) == (
        change.after,
        {name: one.phase for name, one in change.backends.items()},
    )
    assert [("registry", "written again", ("a proxy has applied generation 25, which the store lost",))] == [
        (told.subject, told.after, told.reasons) for told in change.happenings if told.kind == "fault"
    ]
    machine.wait(1.0)
    machine.generation = 25
    machine.publish()
    assert machine.now + machine.policy.life.drain_timeout_s == machine.instances["web2"].deadline
    machine.tick(reading(generation=25))
    assert ("draining", []) == (machine.phases()["web2"], machine.emitted(Publish))
    machine.tick(reading(generation=26))
    assert "stopping" == machine.phases()["web2"]


def test_what_no_generation_can_be_is_not_counted_on_from() -> None:
    machine = serving(1)
    machine.tick(reading(generation=machine.generation))
    machine.tick(reading(generation=10**14))
    assert ([], machine.generation) == (machine.emitted(Publish), machine.state.applied)
    machine.tick(reading(generation=10**14 - 1))
    assert 10**14 - 1 == machine.change().after


def test_a_later_generation_than_ours_may_be_our_own_whose_answer_came_too_late() -> None:
    machine = drains()
    machine.take(Ordered(machine.now, Order(OrderKind.SCALE, 2, "1-2")))
    [lost] = machine.emitted(Publish)
    machine.take(Unpublished(machine.now, lost.version, "the answer came too late"))
    machine.tick(reading(generation=21, leaving={"web2": 1}))
    [again] = machine.emitted(Publish)
    assert [] == [told for told in again.change.happenings if told.kind == "fault"]
    machine.take(Published(machine.now, again.version, 22))
    assert 20 == machine.instances["web2"].generation
