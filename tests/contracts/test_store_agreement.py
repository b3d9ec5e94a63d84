"""The store in memory and the one on a server answer alike, whatever is asked of them in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.backend import Backend, Phase
from fleet.errors import RefusedError
from fleet.memory import MemoryStore
from fleet.registry import LEASE_TTL_S, Change, Happening, Lease, Memory, Registry, Summary
from fleet.settings import load
from fleet.store.keys import Keys
from fleet.store.opening import open_registry

if TYPE_CHECKING:
    from fleet.embedded import EmbeddedValkey

BACKENDS = st.dictionaries(
    st.integers(1, 5).map("production{}".format),
    st.sampled_from([Phase.STARTING, Phase.SERVING, Phase.DRAINING]),
    max_size=4,
)
LEASES = st.integers(0, 9)
CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("acquire"), st.sampled_from("ab")),
        st.tuples(st.just("renew"), LEASES),
        st.tuples(st.just("release"), LEASES),
        st.tuples(st.just("publish"), LEASES, BACKENDS, st.integers(0, 9)),
        st.tuples(st.just("publish"), LEASES, BACKENDS, st.integers(0, 9)),
        st.tuples(st.just("record"), LEASES),
        st.tuples(st.just("run out")),
        st.tuples(st.just("wipe")),
    ),
    max_size=15,
)


@dataclass
class Asked:
    """One store, what was asked of it, and the numbers that must never go back."""

    registry: Registry
    run_out: Callable[[], object]
    wipe: Callable[[], object]
    leases: list[Lease] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def ask(self, call: tuple[object, ...]) -> object:
        """The answer, without the numbers that differ from store to store."""
        try:
            return self._ask(call)
        except RefusedError:
            return "refused"

    def _ask(self, call: tuple[object, ...]) -> object:
        match call:
            case ("acquire", str(scaler)):
                lease = self.registry.acquire(scaler)
                if lease is None:
                    return None
                assert all(lease.token > one.token for one in self.leases)
                self.leases.append(lease)
                return lease.settled
            case ("run out",):
                self.run_out()
            case ("wipe",):
                self.wipe()
            case (str(kind), int(index), *rest) if self.leases:
                return self._ask_as(self.leases[index % len(self.leases)], kind, *rest)
            case _:
                pass
        return None

    def _ask_as(self, lease: Lease, kind: str, *rest: object) -> object:
        match kind, *rest:
            case ["renew"]:
                return self.registry.renew(lease)
            case ["release"]:
                self.registry.release(lease)
            case ["record"]:
                self.registry.record(lease, [Happening(1.0, "test")])
            case ["publish", dict(phases), int(serial)]:
                backends = {name: Backend(name, phase) for name, phase in sorted(phases.items())}
                change = Change(backends, serial, Summary("UP", len(backends)))
                self.numbers.append(self.registry.publish(lease, change))
                assert sorted(set(self.numbers)) == self.numbers
            case _:
                raise AssertionError(kind)
        return None

    def remembered(self) -> tuple[object, ...]:
        memory: Memory = self.registry.recall()
        found = memory.snapshot
        assert found is None or found.generation == self.numbers[-1]
        return found and list(found.backends.items()), found and found.faults, memory.serial, memory.desired


@given(calls=CALLS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_stores_answer_alike(valkey: EmbeddedValkey, fleet_name: str, calls: list[tuple[object, ...]]) -> None:
    now = [1_800_000_000.0]
    memory = MemoryStore(lambda: now[0])
    registry = open_registry(load(None, fleet=fleet_name, redis_url=valkey.url))
    keys, client = Keys(fleet_name, "production"), registry.client

    def a_little_time_passes() -> None:
        now[0] += 0.01
        began = client.time()[1] // 1000
        while client.time()[1] // 1000 == began:
            pass

    def forget_all() -> None:
        for key in client.scan_iter(f"{fleet_name}:*"):
            client.delete(key)
        a_little_time_passes()

    def pass_time() -> None:
        now[0] += LEASE_TTL_S

    try:
        model = Asked(memory, pass_time, memory.wipe)
        real = Asked(registry, lambda: client.delete(keys.lease), forget_all)
        for call in calls:
            assert model.ask(call) == real.ask(call)
            assert model.remembered() == real.remembered()
    finally:
        forget_all()
        registry.close()
