"""The live world over the store in memory: lease, outages, orders, wakes and ends, with a clock by hand."""

from __future__ import annotations

import asyncio
import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from fleet.errors import StoreUnavailableError
from fleet.memory import MemoryStore
from fleet.registry import Order, OrderKind, Sighting
from scaler.inbox import Ending, Wake
from scaler.messages import Closed, Deposed, Elected, Ordered, Published, Refused, StopFailed, Tick, Unpublished
from tests.scaler.builders import policy
from tests.scaler.rig import HandClock, Rig, ScriptedActuator

if TYPE_CHECKING:
    from fleet.registry import Change, Lease


def serving(rig: Rig | None = None, **sizes: Any) -> Rig:  # noqa: ANN401
    """A rig whose fleet serves; the first lease of an empty store waits its 4 s."""
    rig = rig or Rig(policy(**sizes))
    rig.run(6)
    assert set(rig.phases().values()) == {"serving"}
    return rig


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


class Scribbled(MemoryStore):
    """A store into which a stranger writes."""

    scribbled = ""

    def overwritten(self) -> str:
        found, self.scribbled = self.scribbled, ""
        return found


def test_a_registry_that_was_written_over_is_published_again_within_seconds() -> None:
    store = Scribbled(lambda: 0.0)
    rig = serving(Rig(store=store))
    published = len(rig.events(Published))
    store.scribbled = "backends 'web1'"
    rig.run(6)
    assert published + 1 == len(rig.events(Published))
    assert [("written again", ("backends 'web1'",))] == [
        (told.after, told.reasons) for told in rig.history() if told.subject == "registry"
    ]


def test_a_refused_publication_ends_the_term_and_starts_nothing() -> None:
    store = Snatched(lambda: 0.0)
    rig = serving(Rig(store=store))
    store.snatching = True
    rig.rps = 500.0
    rig.run(5)
    [refused] = rig.events(Refused)
    assert "nothing was written" in refused.reason
    assert ["web1"] == rig.hand.started


def test_an_outage_holds_and_is_said_once_on_both_ends() -> None:
    rig = serving()
    rig.rps = 500.0
    with capture_logs() as logs:
        rig.store.outage = "gone"
        rig.run(10)
        rig.store.outage = None
        rig.run(3)
    said = [entry["event"] for entry in logs if "store" in entry["event"]]
    assert ["holding: the store cannot be used", "the store answers again"] == said
    blind = [event for event in rig.events(Tick) if event.sighting is None]
    assert 10 == len(blind)


def test_nothing_is_started_in_an_outage_and_what_was_missed_is_caught_up_with() -> None:
    rig = serving()
    rig.store.outage = "gone"
    rig.run(2)
    rig.hand.there.clear()
    rig.run(8)
    assert ["web1"] == rig.hand.started
    rig.store.outage = None
    rig.run(20)
    assert (["web1", "web2"], {"web2": "serving"}) == (rig.hand.started, rig.phases())


def test_a_short_outage_does_not_end_the_term() -> None:
    rig = serving()
    rig.store.outage = "gone"
    rig.run(2)
    rig.store.outage = None
    rig.run(2)
    assert ([], 1) == (rig.events(Deposed), len(rig.events(Elected)))


def test_what_happened_in_an_outage_is_in_the_history_after_it() -> None:
    rig = serving(min=2)
    rig.store.outage = "gone"
    del rig.hand.there["web2"]
    rig.run(3.5)
    assert rig.events(Unpublished)
    rig.store.outage = None
    rig.run(10)
    told = [(one.subject, one.after) for one in rig.history()]
    assert 1 == told.count(("web2", "stopping"))
    assert 1 == told.count(("web2", "gone"))


def test_a_store_that_cannot_be_reached_at_the_start_is_an_error_and_later_is_not() -> None:
    rig = Rig()
    rig.store.outage = "connection refused"
    with pytest.raises(StoreUnavailableError, match="connection refused"):
        rig.once()


class Forgetful(MemoryStore):
    """A store that fails exactly where a survey asks what it remembers."""

    failing = True

    def recall(self):  # type: ignore[no-untyped-def]  # noqa: ANN201
        if self.failing:
            raise StoreUnavailableError("gone for a moment")
        return super().recall()


def test_a_store_lost_before_the_survey_ends_the_term_and_the_next_one_works() -> None:
    store = Forgetful(lambda: 0.0)
    rig = Rig(store=store).run(5)
    assert ["the store was lost before the survey: gone for a moment"] == [one.reason for one in rig.events(Deposed)]
    store.failing = False
    rig.run(10)
    assert {"web1": "serving"} == rig.phases()


def test_an_order_is_obeyed_once() -> None:
    rig = serving()
    rig.store.place(Order(OrderKind.SCALE, 3))
    rig.run(4)
    assert (["web1", "web2", "web3"], 1) == (rig.hand.started, len(rig.events(Ordered)))


def test_an_order_that_was_placed_while_no_scaler_acted_is_obeyed() -> None:
    first = serving()
    first.world.close()
    first.store.place(Order(OrderKind.SCALE, 3))
    second = Rig(first.policy, "two", first.clock, first.store, first.hand)
    second.run(5)
    assert (3, 3) == (second.state.manual, len(second.phases()))


def test_an_order_that_was_obeyed_is_not_obeyed_again_by_the_next_scaler() -> None:
    first = serving()
    first.store.place(Order(OrderKind.SCALE, 3))
    first.store.place(Order(OrderKind.AUTO))
    first.run(4)
    first.world.close()
    second = Rig(first.policy, "two", first.clock, first.store, first.hand)
    second.run(5)
    assert ([], None) == (second.events(Ordered), second.state.manual)


def test_a_wake_is_a_tick_at_once() -> None:
    rig = serving()
    while not isinstance(rig.once(), Tick):
        pass
    before = rig.clock.at
    rig.inbox.wake()
    while not isinstance(rig.once(), Tick):
        pass
    assert before == rig.clock.at


def test_a_proxys_wake_reaches_the_inbox() -> None:
    rig = Rig()
    rig.world.start()
    try:
        for _ in range(100):  # whoever listens is a thread that may not wait yet
            asyncio.run(rig.store.wake())
            item = super(type(rig.inbox), rig.inbox).take(0.05)
            if item is not None:
                break
        assert Wake.NOW is item
    finally:
        rig.world.close()
    assert rig.prober.closed


def test_leaving_ends_the_run_and_gives_the_lease_back() -> None:
    rig = serving()
    rig.inbox.end(Ending.LEAVE)
    rig.run(5)
    assert (True, []) == (rig.ended, rig.hand.stopped)
    rig.world.close()
    assert None is rig.store._stored.holder


def test_closing_drains_and_stops_everything_and_then_ends() -> None:
    rig = serving(min=3)
    begun = rig.clock.at
    rig.inbox.end(Ending.CLOSE)
    rig.run(60)
    assert (True, {}, {}) == (rig.ended, rig.phases(), rig.hand.there)
    assert rig.clock.at - begun < 5


def test_closing_an_empty_fleet_ends_at_once() -> None:
    rig = Rig(policy(min=0)).run(8)
    begun = rig.clock.at
    rig.inbox.end(Ending.CLOSE)
    rig.run(60)
    assert rig.ended
    assert rig.clock.at - begun < 2


def test_closing_without_the_lease_stops_nothing() -> None:
    first = serving()
    second = Rig(first.policy, "two", first.clock, first.store, first.hand).run(2)
    second.inbox.end(Ending.CLOSE)
    second.run(5)
    assert (True, [], []) == (second.ended, first.hand.stopped, second.events(Closed))


def test_closing_gives_up_after_its_limit_and_says_so() -> None:
    rig = serving()
    rig.hand.unstoppable.add("web1")
    begun = rig.clock.at
    rig.inbox.end(Ending.CLOSE)
    with capture_logs() as logs:
        rig.run(300)
    assert rig.ended
    assert 120 <= rig.clock.at - begun < 125
    assert "not everything stopped in time; the rest is left to the next start" in [one["event"] for one in logs]


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


def test_hanging_starts_hold_only_their_own_places() -> None:
    from fleet.settings import InstanceSettings
    from scaler.definitions import Definitions
    from scaler.hands import Hands
    from scaler.messages import Event, Placement, Start, Started

    answers: list[Event] = []
    arrived, hang = threading.Semaphore(0), threading.Event()

    class Hanging(ScriptedActuator):
        def start(self, orders):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            if orders[0].name == "web1":
                hang.wait(10)
            return super().start(orders)

    rig = Rig()

    def answer(event: Event) -> None:
        answers.append(event)
        arrived.release()

    hands = Hands(
        Hanging(rig.clock), Definitions(InstanceSettings(), "spec1"), rig._probe_once, answer, rig.clock.now, 2
    )
    try:
        hands.start(Start(tuple(Placement(f"web{number}", "local", "spec1") for number in range(1, 6))), lambda: True)
        for _ in range(4):
            assert arrived.acquire(timeout=5)
        assert ["web2", "web3", "web4", "web5"] == sorted(one.name for one in answers if isinstance(one, Started))
    finally:
        hang.set()
        hands.close()


def test_the_orders_of_a_play_go_in_one_call() -> None:
    calls: list[int] = []

    class Play(ScriptedActuator):
        def start(self, orders):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            calls.append(len(orders))
            return super().start(orders)

    rig = Rig(policy(min=3))
    actuator = Play(rig.clock, batches=True)
    serving(Rig(policy(min=3), actuator=actuator, clock=rig.clock))
    assert [3] == calls


def test_a_summary_is_refreshed_each_second() -> None:
    rig = serving()
    rig.rps = 7.0
    rig.run(70)
    summary = rig.store._stored.summary
    assert summary is not None
    assert pytest.approx(7.0, abs=0.5) == summary.rps
    assert ("IDLE", 1) == (summary.state, summary.desired)
