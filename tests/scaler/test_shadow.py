"""The dry run: it decides by the real counters and leaves no trace in the real store."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from fleet.memory import MemoryStore
from fleet.registry import Order, OrderKind
from scaler.messages import Outcome
from scaler.shadow import ShadowActuator, ShadowProber, ShadowStore
from tests.scaler.builders import SPEC, listed, policy, snapshot
from tests.scaler.rig import HandClock, Rig

if TYPE_CHECKING:
    from fleet.memory import Stored

READ_ONLY = "a dry run wrote into the real store"


class Untouchable(MemoryStore):
    """A store in which only reading is allowed once it is `sealed`."""

    sealed = False

    def __getattribute__(self, name: str) -> object:
        if (
            name in {"acquire", "renew", "release", "publish", "summarise", "record", "forget", "remember"}
            and self.sealed
        ):
            raise AssertionError(f"{READ_ONLY}: {name}")
        return super().__getattribute__(name)


class ShadowRig(Rig):
    """A rig whose scaler is a dry run beside a real one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.real = self.store
        hand = ShadowActuator(self.clock.now)
        known = self.real.recall().snapshot
        if known is not None:
            hand.adopt(known)
        self.pretended = hand
        self.hands.actuator = hand
        self.world._store = ShadowStore(self.real, MemoryStore(self.clock.now))
        self.world._prober = self.shadow = ShadowProber(self.inbox.probed)


def beside(real: Rig) -> ShadowRig:
    return ShadowRig(real.policy, "shadow", real.clock, real.store)


def kept(store: MemoryStore) -> Stored:
    return copy.deepcopy(store._stored)


def test_a_dry_run_follows_the_real_counters_and_writes_nothing() -> None:
    store = Untouchable(lambda: 0.0)
    real = Rig(policy(), store=store).run(6)
    store.sealed = True
    before = kept(store)
    shadow = beside(real)
    shadow.rps = 55.0
    shadow.run(8)
    after = kept(store)
    assert 6 == shadow.state.desired
    assert 6 == len(shadow.state.instances)
    assert (before.snapshot, before.token, before.events) == (after.snapshot, after.token, after.events)
    assert (before.summary, before.serial, before.holder) == (after.summary, after.serial, after.holder)
    assert ["web1"] == real.hand.started


def test_a_dry_run_takes_over_what_the_registry_lists_and_starts_none_of_it_again() -> None:
    real = Rig(policy(min=3)).run(6)
    shadow = beside(real).run(3)
    assert {"web1", "web2", "web3"} == set(shadow.state.instances)
    assert {"serving"} == {str(one.phase) for one in shadow.state.instances.values()}


def test_a_dry_run_needs_no_lease_and_waits_for_none() -> None:
    real = Rig(policy()).run(6)
    shadow = beside(real).run(1.5)
    assert shadow.state.adopted
    assert real.store._stored.holder is not None
    assert "one" == real.store._stored.holder[0]


def test_a_dry_run_sees_a_persons_order() -> None:
    real = Rig(policy()).run(6)
    shadow = beside(real).run(2)
    real.store.place(Order(OrderKind.SCALE, 4))
    shadow.run(3)
    assert (4, 4) == (shadow.state.manual, len(shadow.state.instances))


def test_a_dry_run_goes_down_too_because_its_proxies_have_applied_what_it_pretends() -> None:
    real = Rig(policy(min=1)).run(6)
    shadow = beside(real)
    shadow.rps = 55.0
    shadow.run(8)
    shadow.rps = 0.0
    shadow.run(260)
    assert {"serving"} == {str(one.phase) for one in shadow.state.instances.values()}
    assert 1 == len(shadow.state.instances)


def test_the_pretended_hand_has_what_it_was_told_to_start() -> None:
    hand = ShadowActuator(HandClock().now)
    hand.adopt(snapshot(listed("web1"), listed("web2", url=None)))
    hand.stop("web1", "local", 1.0)
    assert [("web2", SPEC)] == [(item.name, item.spec) for item in hand.running().found]
    assert hand.running().answered == hand.running().hosts


def test_everything_is_ready_at_once_for_the_pretended_prober() -> None:
    told: list[tuple[str, Outcome, str]] = []
    prober = ShadowProber(lambda *what: told.append(what))
    prober.set_targets([("web1", "http://127.0.0.1:1", 0.1)])
    assert [("web1", Outcome.READY, "")] == told
