"""What a simulated run is made of: the traffic, how the app behaves, what goes wrong and when."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fleet.backend import LOCAL_HOST
from fleet.registry import Order

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong: by instance name, or as (from, until) in seconds.

    `stuck` never answer, `unstartable` cannot be started, `hung` starts are never heard of again, `unstoppable` ones
    are not stopped at the first try. `unknown_images` cannot be had; instances of `stuck_images` are stuck, those of
    `exiting_images` end so long after their start. `crashes` and `sick` (they answer 500) are by name, `proxy_silent`
    by the number of the proxy from 0 and `host_silent` by the host. At `store_wiped` the store forgets everything; at
    `killed` the scaler dies, and the next one acts once the lease has run out.
    """

    stuck: frozenset[str] = frozenset()
    unstartable: frozenset[str] = frozenset()
    hung: frozenset[str] = frozenset()
    unstoppable: frozenset[str] = frozenset()
    unknown_images: frozenset[str] = frozenset()
    stuck_images: frozenset[str] = frozenset()
    exiting_images: Mapping[str, float] = field(default_factory=dict)
    crashes: Mapping[str, float] = field(default_factory=dict)
    sick: Mapping[str, Span] = field(default_factory=dict)
    store_gone: tuple[Span, ...] = ()
    store_wiped: tuple[float, ...] = ()
    proxy_silent: tuple[tuple[int, Span], ...] = ()
    host_silent: tuple[tuple[str, Span], ...] = ()
    killed: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Course:
    """A simulated run: the traffic (requests a second at a time), how the app behaves, what goes wrong.

    `carries_rps` is what one instance really can answer; what is above it piles up in flight. While a canary is tried
    requests fail by chance, at the rates `errors` and `canary_errors`, and its own take `canary_slower` times as long;
    `seed` repeats the chance. At `close_at` the
    operator ends the fleet.
    """

    rps: Callable[[float], float]
    until_s: float
    boot_s: float = 10.0
    start_s: float = 0.3
    answer_s: float = 0.05
    carries_rps: float = 20.0
    proxies: int = 1
    hosts: tuple[str, ...] = (LOCAL_HOST,)
    faults: Faults = field(default_factory=Faults)
    orders: tuple[tuple[float, Order], ...] = ()
    close_at: float | None = None
    errors: float = 0.0
    canary_errors: float = 0.0
    canary_slower: float = 1.0
    seed: int = 0


def within(at: float, spans: tuple[Span, ...]) -> bool:
    """Whether a time lies in one of the spans, the end of each excluded."""
    return any(begin <= at < end for begin, end in spans)


def steps(*parts: tuple[float, float]) -> Callable[[float], float]:
    """A traffic shape of (rps, until) parts; the last rate goes on."""

    def rps(at: float) -> float:
        return next((rate for rate, until in parts if at <= until), parts[-1][0])

    return rps


def recorded(counts: list[float], bin_s: float) -> Callable[[float], float]:
    """A traffic shape from recorded requests a bin."""
    last = len(counts) - 1

    def rps(at: float) -> float:
        return counts[min(int(at / bin_s), last)] / bin_s

    return rps
