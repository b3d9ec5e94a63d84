"""Several writers at once on one registry, driven at random: a real server beside the store in memory as its model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from fleet.backend import Backend, Phase
from fleet.errors import RefusedError
from fleet.memory import MemoryStore
from fleet.registry import LEASE_TTL_S, Change, Happening, Lease, Summary
from fleet.settings import load
from fleet.store.fields import text
from fleet.store.keys import Keys
from fleet.store.opening import open_registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.embedded import EmbeddedValkey

SCALERS = ("a", "b", "c")
BACKENDS = st.dictionaries(
    st.integers(1, 5).map("production{}".format), st.sampled_from([Phase.STARTING, Phase.SERVING, Phase.DRAINING])
)


class Writers(RuleBasedStateMachine):
    """Every scaler has a client of its own; a pair of leases is the same turn in both stores."""

    url: str
    fleet: str
    leases = Bundle("leases")

    @initialize()
    def begin(self) -> None:
        self.now = 1_800_000_000.0
        self.memory = MemoryStore(lambda: self.now)
        self.clients = {scaler: open_registry(load(None, fleet=self.fleet, redis_url=self.url)) for scaler in SCALERS}
        self.redis = self.clients["a"].client
        self.keys = Keys(self.fleet, "production")
        self._forget()
        self.holder: tuple[Lease, Lease] | None = None
        self.tokens: tuple[list[int], list[int]] = [], []
        self.generations: tuple[list[int], list[int]] = [], []
        self.kept: tuple[Any, dict[bytes, bytes]] | None = None

    def teardown(self) -> None:
        if hasattr(self, "clients"):
            self._forget()
            for client in self.clients.values():
                client.close()

    def _forget(self) -> None:
        for key in self.redis.scan_iter(f"{self.fleet}:*"):
            self.redis.delete(key)

    @rule(target=leases, scaler=st.sampled_from(SCALERS))
    def acquire(self, scaler: str) -> tuple[Lease, Lease] | None:
        model, real = self.memory.acquire(scaler), self.clients[scaler].acquire(scaler)
        assert (model is None) == (real is None)
        if model is None or real is None:
            return None
        assert self.holder is None
        assert model.settled == real.settled
        for tokens, lease in zip(self.tokens, (model, real), strict=True):
            assert all(lease.token > token for token in tokens)
            tokens.append(lease.token)
        self.holder = model, real
        return self.holder

    def _both(self, pair: tuple[Lease, Lease], ask: Callable[[Any, Lease], Any]) -> tuple[Any, Any]:
        answers = []
        for registry, lease in zip((self.memory, self.clients[pair[0].scaler]), pair, strict=True):
            try:
                answers.append(ask(registry, lease))
            except RefusedError:
                answers.append("refused")
        assert ("refused" in answers) == (answers == ["refused", "refused"])
        return answers[0], answers[1]

    @rule(pair=leases)
    def renew(self, pair: tuple[Lease, Lease] | None) -> None:
        if pair is not None:
            assert (pair == self.holder,) * 2 == self._both(pair, lambda registry, lease: registry.renew(lease))

    @rule(pair=consumes(leases))
    def release(self, pair: tuple[Lease, Lease] | None) -> None:
        if pair is not None:
            self._both(pair, lambda registry, lease: registry.release(lease))
            self.holder = None if pair == self.holder else self.holder

    @rule(pair=leases, phases=BACKENDS, serial=st.integers(0, 9))
    def publish(self, pair: tuple[Lease, Lease] | None, phases: dict[str, Phase], serial: int) -> None:
        if pair is None:
            return
        backends = {name: Backend(name, phase) for name, phase in sorted(phases.items())}
        change = Change(backends, serial, Summary("UP", len(backends)))
        answers = self._both(pair, lambda registry, lease: registry.publish(lease, change))
        assert (answers == ("refused", "refused")) == (pair != self.holder)
        for generations, answer in zip(self.generations, answers, strict=True):
            if answer != "refused":
                assert all(answer > generation for generation in generations)
                generations.append(answer)

    @rule(pair=leases, desired=st.integers(0, 9))
    def summarise(self, pair: tuple[Lease, Lease] | None, desired: int) -> None:
        if pair is not None:
            answers = self._both(pair, lambda registry, lease: registry.summarise(lease, Summary("UP", desired)))
            assert (answers == ("refused", "refused")) == (pair != self.holder)

    @rule(pair=leases)
    def record(self, pair: tuple[Lease, Lease] | None) -> None:
        if pair is not None:
            answers = self._both(pair, lambda registry, lease: registry.record(lease, [Happening(1.0, "test")]))
            assert (answers == ("refused", "refused")) == (pair != self.holder)

    @rule()
    def run_out(self) -> None:
        self.now += LEASE_TTL_S
        self.redis.delete(self.keys.lease)
        self.holder = None

    @rule()
    def wipe(self) -> None:
        self.now += 0.01
        self.memory.wipe()
        self._forget()
        self._a_moment()
        self.holder = None

    @rule()
    def keep(self) -> None:
        """What a disk would hold: everything but the lease, whose time is over when it is read back."""
        dumped = {key: self.redis.dump(key) for key in self.redis.scan_iter(f"{self.fleet}:*")}
        lease = self.keys.lease.encode()
        self.kept = self.memory.copy(), {key: dump for key, dump in dumped.items() if dump and key != lease}

    @rule(another_server=st.booleans())
    def come_back_with_old_data(self, another_server: bool) -> None:
        if self.kept is None:
            return
        self.now += LEASE_TTL_S
        stored, dumped = self.kept
        self.memory.restore(stored, another_server=another_server)
        self._forget()
        for key, dump in dumped.items():
            self.redis.restore(key, 0, dump)
        token = self.redis.get(self.keys.token)
        if another_server and token is not None:
            self.redis.set(self.keys.token, text(token).partition(":")[0] + ":" + "0" * 40)
        self._a_moment()
        self.holder = None

    def _a_moment(self) -> None:
        """Numbers given out within one millisecond run ahead of the clock by a few; life leaves more time than that."""
        began = self._server_ms()
        while self._server_ms() < began + 20:
            pass

    def _server_ms(self) -> int:
        seconds, micros = self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    @invariant()
    def both_remember_the_same(self) -> None:
        if not hasattr(self, "clients"):
            return
        shown = []
        for registry in (self.memory, self.clients["b"]):
            memory = registry.recall()
            backends = memory.snapshot and dict(memory.snapshot.backends)
            shown.append((backends, memory.serial, memory.desired, memory.faults))
        assert shown[0] == shown[1]


def test_writers_at_once_never_go_back_and_never_write_late(valkey: EmbeddedValkey, fleet_name: str) -> None:
    class Here(Writers):
        url, fleet = valkey.url, fleet_name

    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
