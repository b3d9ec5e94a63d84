"""The stores under contract, with all their doors open, and what is put into them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from fleet.backend import Backend, Phase
from fleet.memory import MemoryStore
from fleet.registry import (
    LEASE_TTL_S,
    PROXY_TTL_S,
    BackendCounters,
    Change,
    ProxyReading,
    Summary,
)
from fleet.store.keys import Keys
from fleet.store.opening import open_desk, open_noticeboard, open_registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.registry import Desk, Meter, Noticeboard, Registry
    from fleet.settings import Settings

    class ScalerSide(Registry, Meter, Protocol):
        def wakes(self) -> Iterator[None]: ...
        def close(self) -> None: ...


class Store(Protocol):
    """A store with all its doors open, and what time and mishap do to it."""

    @property
    def scaler(self) -> ScalerSide: ...
    @property
    def board(self) -> Noticeboard: ...
    @property
    def desk(self) -> Desk: ...
    def let_lease_run_out(self) -> None: ...
    def let_proxy_fall_silent(self, proxy: str) -> None: ...
    def lose_all_data(self) -> None:
        """Takes a millisecond at least, as it does in life."""


@dataclass
class InMemory:
    now: float = 1_800_000_000.0
    store: MemoryStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = MemoryStore(lambda: self.now)

    @property
    def scaler(self) -> ScalerSide:
        return self.store

    @property
    def board(self) -> Noticeboard:
        return self.store

    @property
    def desk(self) -> Desk:
        return self.store

    def let_lease_run_out(self) -> None:
        self.now += LEASE_TTL_S

    def let_proxy_fall_silent(self, proxy: str) -> None:
        del proxy
        self.now += PROXY_TTL_S

    def lose_all_data(self) -> None:
        self.store.wipe()
        self.now += 0.01


class OnServer:
    def __init__(self, settings: Settings) -> None:
        self.scaler = open_registry(settings)
        self.board = open_noticeboard(settings)
        self.desk = open_desk(settings)
        self.keys = Keys(settings.fleet, settings.app)

    def let_lease_run_out(self) -> None:
        self.scaler.client.delete(self.keys.lease)

    def let_proxy_fall_silent(self, proxy: str) -> None:
        self.scaler.client.delete(self.keys.proxy(proxy))

    def lose_all_data(self) -> None:
        client = self.scaler.client
        for key in client.scan_iter(f"{self.keys.fleet}:*"):
            client.delete(key)
        began = client.time()
        while client.time()[1] // 1000 == began[1] // 1000:
            pass


SUMMARY = Summary("UP", 2, rps=12.5, in_flight=3, held=0, reasons=("at the minimum",), minimum=2, schedule="day")


def backend(number: int, phase: Phase = Phase.SERVING) -> Backend:
    return Backend(
        f"production{number}", phase, f"http://127.0.0.1:{20_000 + number % 10_000}", spec="a1", since=1.5, token=7
    )


def change(*numbers: int, serial: int = 0) -> Change:
    backends = [backend(number) for number in numbers]
    return Change({one.name: one for one in backends}, serial or max(numbers, default=0), SUMMARY)


def reading(proxy: str, generation: int = 0, arrivals: int = 10) -> ProxyReading:
    return ProxyReading(
        id=proxy,
        series="s1",
        uptime_ms=1500,
        generation=generation,
        arrivals=arrivals,
        completions=8,
        refused=1,
        errors_4xx=2,
        errors_5xx=3,
        in_flight=4,
        held=5,
        outlives_agent=True,
        backends={"production1": BackendCounters(6, 1, 2, 3, 4.5)},
    )
