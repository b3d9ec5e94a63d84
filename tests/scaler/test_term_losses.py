"""The start of a term where the store lost its data, or holds older data than somebody remembers."""

from __future__ import annotations

from dataclasses import replace

from fleet.backend import Phase
from fleet.registry import Memory, Order, OrderKind
from scaler.messages import (
    Closed,
    Counted,
    Deposed,
    Found,
    Ordered,
    Publish,
    Stopped,
)
from tests.scaler.builders import (
    EMPTY,
    Machine,
    census,
    found,
    listed,
    policy,
    reading,
    remembered,
    serving,
    snapshot,
    surveys,
    url,
)


def test_what_runs_is_adopted_where_the_registry_is_empty() -> None:
    machine = Machine()
    machine.elect()
    machine.adopt(found("web1"), found("web4"), found("web5", running=False, exit_code=1), memory=EMPTY, ready=["web4"])
    assert {"web1": "warming", "web4": "serving", "web5": "stopping"} == machine.phases()
    assert (2, 5) == (machine.state.desired, machine.state.serial)


def test_nothing_that_was_adopted_from_an_empty_registry_goes_before_a_full_window() -> None:
    machine = Machine()
    machine.lead(*(found(f"web{number}") for number in range(1, 6)), ready=[f"web{number}" for number in range(1, 6)])
    machine.rps(0.0, 59)
    assert ["serving"] * 5 == list(machine.phases().values())


def test_what_runs_is_adopted_where_a_proxy_reports_a_newer_generation_than_the_store() -> None:
    machine = Machine()
    machine.elect()
    machine.tick(reading(generation=9))
    machine.adopt(found("web1"), found("web2"), memory=remembered("web1", generation=5, desired=1), ready=["web2"])
    assert {"web1": "serving", "web2": "serving"} == machine.phases()
    assert 2 == machine.state.desired


def test_what_runs_is_adopted_where_a_proxy_once_applied_more_than_the_store_remembers() -> None:
    machine = Machine()
    machine.tick(reading(generation=9))
    machine.tick(reading(generation=5))  # begun again, it took what is stored now
    machine.elect()
    machine.adopt(found("web1"), found("web2"), memory=remembered("web1", generation=5, desired=1))
    assert {"web1": "serving", "web2": "warming"} == machine.phases()


def test_what_this_scaler_published_is_as_new_as_any_proxy_can_be() -> None:
    machine = Machine()
    machine.tick(reading(generation=9))
    machine.lead(found("web1"), memory=remembered("web1", generation=5, desired=1))
    machine.take(Deposed(machine.now, "another acts"))
    machine.elect(token=2)
    machine.adopt(
        found("web1"), found("web2"), memory=remembered("web1", generation=machine.state.generation, desired=1)
    )
    assert "draining" == machine.phases()["web2"]


def test_our_own_memory_wins_over_an_older_registry() -> None:
    machine = serving(3)
    machine.take(Ordered(machine.now, Order(OrderKind.SCALE, 2, "1-1")))
    machine.look({"web1": 1, "web2": 1, "web3": 0})
    machine.publish()
    machine.take(Deposed(machine.now, "the store was restored"))
    machine.elect(token=2)
    old = remembered("web1", "web2", "web3", generation=2, desired=3)
    machine.adopt(found("web1"), found("web2"), found("web3"), memory=old)
    assert {"web1": "serving", "web2": "serving", "web3": "draining"} == machine.phases()
    assert (2, 2) == (machine.state.desired, machine.state.manual)


def test_an_emptied_store_gets_everything_back_in_one_publication() -> None:
    machine = serving(3)
    machine.take(Ordered(machine.now, Order(OrderKind.PAUSE, None, "1-1")))
    machine.take(Deposed(machine.now, "wiped"))
    machine.elect(token=2)
    machine.adopt(found("web1"), found("web2"), found("web3"), memory=EMPTY)
    backends = machine.change().backends
    assert {"web1": Phase.SERVING, "web2": Phase.SERVING, "web3": Phase.SERVING} == {
        name: one.phase for name, one in backends.items()
    }
    assert (3, True, 3) == (machine.change().serial, machine.state.paused, machine.state.desired)


def test_a_silent_hosts_instances_come_from_memory_where_the_store_is_empty() -> None:
    machine = serving(2)
    machine.take(Deposed(machine.now, "wiped"))
    machine.elect(token=2)
    machine.adopt(found("web1"), memory=EMPTY, answered=())
    assert {"web1": "serving", "web2": "serving"} == machine.phases()
    assert url("web2") == machine.change().backends["web2"].url


def test_an_older_registry_brings_back_nothing_that_our_own_memory_saw_end() -> None:
    machine = serving(2)
    machine.take(Ordered(machine.now, Order(OrderKind.SCALE, 1, "1-1")))
    machine.look({"web1": 1, "web2": 0})
    machine.publish()
    machine.tick(reading(generation=machine.state.generation))
    machine.publish()
    machine.take(Stopped(machine.now, "web2"))
    machine.take(Deposed(machine.now, "the store was restored"))
    machine.elect(token=2)
    machine.adopt(memory=remembered("web1", "web2", generation=2, desired=2), answered=())
    assert {"web1": "serving"} == machine.phases()


def test_what_runs_and_our_own_memory_does_not_know_goes_on_in_the_phase_of_an_older_registry() -> None:
    machine = serving(1)
    machine.take(Deposed(machine.now, "the store was restored"))
    machine.elect(token=2)
    old = remembered(web1=Phase.SERVING, web2=Phase.DRAINING, generation=2, desired=1)
    machine.adopt(found("web1"), found("web2"), memory=old)
    assert {"web1": "serving", "web2": "draining"} == machine.phases()


def test_a_registry_that_another_scaler_wrote_wins_over_our_memory() -> None:
    machine = serving(1)
    machine.take(Deposed(machine.now, "taken"))
    machine.elect(token=3)
    machine.adopt(
        found("web1"), found("web2"), memory=remembered(web1=Phase.DRAINING, web2=Phase.SERVING, generation=99)
    )
    assert {"web1": "draining", "web2": "serving"} == machine.phases()


def test_a_number_is_not_given_out_again_whatever_remembers_it() -> None:
    for memory, there in [
        (Memory(snapshot(), serial=7), []),
        (Memory(snapshot(listed("web7")), serial=0), []),
        (Memory(snapshot(), serial=0), [found("web7")]),
        (EMPTY, [found("web7", running=False)]),
    ]:
        machine = Machine()
        machine.elect()
        machine.adopt(*there, memory=memory)
        assert 7 < max(int(name.removeprefix("web")) for name in machine.phases()), memory


def test_numbers_that_others_may_have_given_out_meanwhile_are_left_out() -> None:
    """After a loss at 100 s another scaler took over and left some out too; this one, later, must not meet them."""
    first, second = Machine(policy(min=1)), Machine(policy(min=1))
    for machine, token, serial in ((first, 1_800_000_104_000, 9), (second, 1_800_000_200_000, 7)):
        machine.tick(reading(generation=1_800_000_100_000))  # both remember what was published at 50 s
        machine.state = replace(machine.state, generation=1_800_000_050_000, generation_at=machine.now, serial=serial)
        machine.elect(token=token)
        machine.adopt(memory=EMPTY)
    assert 180_000_010_400 + 1 == first.state.serial
    assert 180_000_020_000 + 1 == second.state.serial


def test_a_registry_as_new_as_any_proxys_is_complete() -> None:
    machine = Machine()
    machine.elect()
    machine.tick(reading(generation=5))
    machine.adopt(found("web1"), found("web2"), memory=remembered("web1", generation=5, desired=1))
    assert "draining" == machine.phases()["web2"]


def test_what_was_decided_but_never_published_is_not_remembered() -> None:
    machine = serving(2)
    machine.wait(1)
    machine.take(Closed(machine.now))
    machine.look({"web1": 0, "web2": 0})
    assert {"draining"} == set(machine.phases().values())
    machine.take(Deposed(machine.now, "taken"))
    machine.elect(token=2)
    stored = remembered("web1", "web2", generation=machine.state.generation, desired=2)
    machine.adopt(found("web1"), found("web2"), memory=stored)
    assert {"serving"} == set(machine.phases().values())


def test_an_older_registrys_count_does_not_win_over_ours() -> None:
    machine = serving(3)
    machine.take(Deposed(machine.now, "restored"))
    machine.elect(token=2)
    machine.adopt(
        *(found(f"web{number}") for number in range(1, 4)), memory=remembered("web1", generation=2, desired=9)
    )
    assert 3 == machine.state.desired


def test_an_emptied_store_does_not_bring_old_orders_back() -> None:
    machine = serving(1)
    machine.take(Ordered(machine.now, Order(OrderKind.PAUSE, None, "7-1")))
    machine.take(Deposed(machine.now, "wiped"))
    machine.elect(token=2)
    machine.adopt(found("web1"), memory=EMPTY)
    assert "7-1" == machine.state.last_order


def test_a_memory_that_others_have_acted_after_is_not_taken_over_by() -> None:
    machine = serving(2)
    machine.take(Deposed(machine.now, "the lease ran out or was taken"))
    machine.tick(reading(generation=99))
    machine.elect(token=2)
    machine.adopt(found("web1"), memory=EMPTY)
    assert ("warming", True) == (machine.phases()["web1"], machine.instances["web1"].unlisted)


def test_what_an_old_registry_calls_stopping_drains_first() -> None:
    machine = Machine()
    machine.tick(reading(generation=9))
    machine.elect()
    machine.adopt(found("web1"), memory=remembered(web1=Phase.STOPPING, generation=5))
    assert "draining" == machine.phases()["web1"]


def test_what_a_silent_host_turns_out_to_run_after_a_loss_is_adopted() -> None:
    machine = Machine(policy(min=3))
    machine.elect()
    machine.adopt(found("web1"), memory=EMPTY, hosts=("local", "b"), answered=("local",))
    machine.publish()
    machine.wait(1)
    later = census(found("web1"), found("web2", host="b"), asked_at=machine.now, hosts=("local", "b"))
    machine.take(Counted(machine.now, later))
    assert "warming" == machine.phases()["web2"]
    machine.wait(1)
    later = census(found("web1"), found("web2"), found("web3", host="b"), asked_at=machine.now, hosts=("local", "b"))
    machine.take(Counted(machine.now, later))
    assert "draining" == machine.phases()["web3"]  # by now it was heard, and this one is a stray


def heard_late(there: Found) -> Machine:
    """A fleet of two whose registry was lost while host b was silent, which now tells of this."""
    machine = Machine(policy(min=2))
    machine.elect()
    machine.adopt(found("web1"), memory=EMPTY, hosts=("local", "b"), answered=("local",), ready=["web1"])
    machine.publish()
    machine.wait(1)
    machine.take(Counted(machine.now, census(found("web1"), there, asked_at=machine.now, hosts=("local", "b"))))
    machine.publish()
    return machine


def test_what_a_silent_host_ran_until_it_ended_is_removed() -> None:
    assert "stopping" == heard_late(found("web2", host="b", running=False)).phases()["web2"]


def test_the_number_of_what_a_silent_host_turns_out_to_run_is_not_given_out_again() -> None:
    assert 4000 == heard_late(found("web4000", host="b")).state.serial


def test_what_was_adopted_and_never_got_ready_drains_first_but_not_for_ever() -> None:
    machine = heard_late(found("web2", host="b"))
    machine.wait(60)
    machine.look({"web1": 0, "web2": 1})
    machine.publish()
    assert "draining" == machine.phases()["web2"]
    machine.wait(30)
    machine.look({"web1": 0, "web2": 1})
    assert "stopping" == machine.phases()["web2"]


def test_nothing_is_published_while_nobody_tells_of_a_fleet_that_serves() -> None:
    machine = Machine()
    machine.elect()
    machine.tick(reading(generation=9))
    machine.adopt(memory=EMPTY, answered=())
    assert ([], False) == (machine.emitted(Publish), machine.state.adopted)
    assert 1 == surveys(machine.tick(reading(generation=9)))


def test_orders_are_read_on_after_the_last_one_carried_out_though_the_store_tells_of_an_earlier_one() -> None:
    machine = serving(1)
    machine.take(Ordered(machine.now, Order(OrderKind.PAUSE, id="10-0")))
    machine.take(Deposed(machine.now, "the lease ran out or was taken"))
    machine.elect(token=2)
    memory = remembered("web1", generation=machine.state.generation)
    machine.adopt(found("web1"), memory=replace(memory, last_order="9-5"))
    assert "10-0" == machine.state.last_order
    machine.take(Deposed(machine.now, "the lease ran out or was taken"))
    machine.elect(token=3)
    machine.adopt(found("web1"), memory=replace(memory, last_order="11-0"))
    assert "11-0" == machine.state.last_order
