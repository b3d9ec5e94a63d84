"""The live world over the store in memory, with a clock by hand: leases, terms and the loop."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from fleet.memory import MemoryStore
from scaler.messages import Deposed, Elected, Published, Refused, StopFailed, Tick
from tests.scaler.rig import HandClock, Rig, ScriptedActuator, serving

if TYPE_CHECKING:
    from fleet.registry import Change, Lease, Sighting


def test_from_an_empty_store_the_first_instance_serves_after_one_lease_time() -> None:
    rig = Rig().run(3.5)
    assert ([], {}) == (rig.hand.started, rig.phases())
    rig.run(2)
    assert (["web1"], {"web1": "serving"}) == (rig.hand.started, rig.phases())


def test_a_second_scaler_waits_for_the_lease_and_takes_over_without_a_start() -> None:
    first = serving(min=2)
    second = Rig(first.policy, "two", first.clock, first.store, first.hand)
    for _ in range(20):
        first.once()
        second.once()
    assert [] == second.events(Elected)
    first.world.close()
    second.run(3)
    assert 1 == len(second.events(Elected))
    assert (["web1", "web2"], {"web1": "serving", "web2": "serving"}) == (first.hand.started, second.phases())


def test_who_waits_tries_for_the_lease_each_second_and_looks_at_the_counters_every_other_one() -> None:
    first = serving()
    second = Rig(first.policy, "two", first.clock, first.store, first.hand)
    looks = []
    for _ in range(6):
        first.once()
        second.once()
        looks.append(second.events(Tick)[-1].now)
    assert [2.0] * 5 == [later - earlier for earlier, later in pairwise(looks)]
    first.world.close()
    second.run(1.5)
    assert 1 == len(second.events(Elected))


def test_a_killed_scalers_lease_runs_out() -> None:
    first = serving()
    second = Rig(first.policy, "two", first.clock, first.store, first.hand)
    begun = first.clock.at
    second.run(6)
    [elected] = second.events(Elected)
    assert 3.0 <= elected.now - begun <= 5.0
    assert ["web1"] == first.hand.started


def test_a_lost_lease_ends_the_term_at_the_next_tick() -> None:
    rig = serving()
    rig.store._stored.holder = ("other", rig.store._stored.token + 1, rig.clock.at + 60)
    rig.rps = 500.0
    rig.run(5)
    assert ["the lease ran out or was taken"] == [event.reason for event in rig.events(Deposed)]
    assert ["web1"] == rig.hand.started
    assert () == rig.prober.targets


class Snatched(MemoryStore):
    """A store whose lease is taken by another between a renewal and the publication after it."""

    snatching = False

    def publish(self, lease: Lease, change: Change) -> int:
        if self.snatching:
            self._stored.holder = ("other", lease.token + 1, self.clock() + 60)
        return super().publish(lease, change)


def test_a_refused_publication_ends_the_term_and_starts_nothing() -> None:
    store = Snatched(lambda: 0.0)
    rig = serving(Rig(store=store))
    store.snatching = True
    rig.rps = 500.0
    rig.run(5)
    [refused] = rig.events(Refused)
    assert "nothing was written" in refused.reason
    assert ["web1"] == rig.hand.started


def test_a_failed_start_and_its_reason_are_in_the_history() -> None:
    actuator = ScriptedActuator(Rig().clock, fails={"web1": "no image of that name"})
    rig = Rig(actuator=actuator)
    actuator.clock = rig.clock
    rig.run(12)
    assert ["web1", "web2"] == actuator.started
    failed = [one for one in rig.history() if (one.subject, one.after) == ("web1", "failed")]
    assert [("no image of that name",)] == [one.reasons for one in failed]


def test_a_silent_proxy_is_forgotten_in_the_store() -> None:
    rig = serving()
    rig.proxy = False
    rig.run(70)
    assert {} == rig.store._stored.readings


class Slow(MemoryStore):
    """A store that answers each look after more than a tick."""

    slow = False

    def sight(self, *, detail: bool, outcomes: bool = False) -> Sighting:
        if self.slow:
            rig_clock(self).at += 1.2
        return super().sight(detail=detail, outcomes=outcomes)


def rig_clock(store: MemoryStore) -> HandClock:
    clock: HandClock = store.clock.__self__  # type: ignore[attr-defined]  # the bound method of the rig's clock
    return clock


def test_answers_are_heard_though_every_look_takes_longer_than_a_tick() -> None:
    rig = serving(Rig(store=Slow(lambda: 0.0)))
    assert isinstance(rig.store, Slow)
    rig.store.slow = True
    while not isinstance(rig.once(), Tick):
        pass
    rig.inbox.answer(StopFailed(rig.clock.at, "web9", "late"))
    rig.inbox.answer(StopFailed(rig.clock.at, "web9", "later"))
    assert [StopFailed, StopFailed, Tick] == [type(rig.once()) for _ in range(3)]


def test_the_lease_is_renewed_though_answers_never_end() -> None:
    rig = serving()
    for number in range(20):
        rig.inbox.answer(StopFailed(rig.clock.at, "web9", str(number)))
    kinds = []
    for _ in range(10):
        rig.clock.at += 0.5
        kinds.append(type(rig.once()))
    assert 3 <= kinds.count(Tick)
    assert [] == rig.events(Deposed)


def test_publications_carry_growing_generations() -> None:
    rig = serving(min=3)
    generations = [event.generation for event in rig.events(Published)]
    assert sorted(set(generations)) == generations


def test_the_loop_catches_up_after_a_pause_without_a_burst_of_ticks() -> None:
    rig = serving()
    rig.clock.at += 30
    before = len(rig.events(Tick))
    rig.run(3)
    assert len(rig.events(Tick)) - before <= 5


def test_a_lease_that_ran_out_in_a_pause_acts_on_nothing() -> None:
    rig = serving()
    rival = Rig(rig.policy, "two", rig.clock, rig.store, rig.hand)
    rig.clock.at += 30
    rival.run(3)
    rig.rps = 500.0
    rig.run(3)
    assert (1, ["web1"]) == (len(rig.events(Deposed)), rig.hand.started)


def test_a_summary_is_refreshed_each_second() -> None:
    rig = serving()
    rig.rps = 7.0
    rig.run(70)
    summary = rig.store._stored.summary
    assert summary is not None
    assert pytest.approx(7.0, abs=0.5) == summary.rps
    assert ("IDLE", 1) == (summary.state, summary.desired)
