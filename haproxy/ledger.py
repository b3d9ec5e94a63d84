"""What all workers together counted: monotonic over reloads and restarts of HAProxy, and over this agent's own.

Each worker's counters begin at 0 and only grow. The ledger keeps, with the sums, how far it has read each worker; the
two are written to disk together before a sum is reported, so that a later agent goes on exactly from there.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json  # in a third of json's time

from fleet.registry import ProxyReading

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from haproxy.answers import ServerCounters, Totals


# HAProxy's TIME_STATS_SAMPLES.
MEAN_OVER = 512
TOTALS = ("arrivals", "completions", "errors_4xx", "errors_5xx")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(slots=True)
class Counted:
    """The sums of one backend. `busy_ms` is made of rounded means: it may fall by a little now and then."""

    arrivals: int = 0
    errors: int = 0
    refused: int = 0
    total_ms: int = 0
    busy_ms: float = 0.0


@dataclass(slots=True)
class Worker:
    """How far one worker was read, and which backend each of its slots holds."""

    totals: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    servers: dict[str, list[int]] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Ledger:
    """The sums of one series, which began at `began_s` of the machine's monotonic clock.

    It is `fresh` until it has met whoever ran before it began: what those had counted is not counted again.
    """

    series: str = field(default_factory=lambda: secrets.token_hex(8))
    boot: str = ""
    began_s: float = field(default_factory=monotonic)
    fresh: bool = True
    totals: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*TOTALS, "refused"), 0))
    backends: dict[str, Counted] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)

    def meet(self, key: str, totals: Totals, servers: Mapping[str, ServerCounters]) -> Worker:
        """The record of a worker, begun now if it is new."""
        if key not in self.workers:
            worker = self.workers[key] = Worker()
            if self.fresh:
                worker.totals = [getattr(totals, name) for name in TOTALS]
                worker.servers = {slot: _read_so_far(counters) for slot, counters in servers.items()}
        return self.workers[key]

    def settle(self) -> None:
        """Whoever is met from now on began after this series."""
        self.fresh = False

    def add_totals(self, key: str, totals: Totals) -> None:
        """Take in a worker's totals."""
        worker = self.workers[key]
        for place, name in enumerate(TOTALS):
            now = getattr(totals, name)
            self.totals[name] += max(0, now - worker.totals[place])
            worker.totals[place] = max(now, worker.totals[place])

    def add_servers(self, key: str, servers: Mapping[str, ServerCounters]) -> dict[str, int]:
        """Take in a worker's counters by slot; returns by backend how many connections failed since the last time."""
        worker, failed = self.workers[key], dict[str, int]()
        for slot, counters in servers.items():
            before = worker.servers.get(slot) or [0, 0, 0, 0]
            now = worker.servers[slot] = _read_so_far(counters)
            name = worker.holders.get(slot)
            if name is None:
                continue
            counted = self.backends.setdefault(name, Counted())
            counted.arrivals += max(0, now[0] - before[0])
            counted.errors += max(0, now[1] - before[1])
            if now[0] > before[0]:
                counted.total_ms = counters.total_ms
                counted.busy_ms += _elapsed(before, now)
            if now[2] > before[2]:
                failed[name] = failed.get(name, 0) + now[2] - before[2]
        return failed

    def add_refused(self, name: str, count: int) -> None:
        """Connections that a backend was found to refuse."""
        self.totals["refused"] += count
        self.backends.setdefault(name, Counted()).refused += count

    def reading(self, proxy: str, generation: int) -> ProxyReading:
        """The sums as they are reported, without gauges."""
        return ProxyReading(
            id=proxy,
            series=self.series,
            uptime_ms=max(0, int(1000 * (monotonic() - self.began_s))),
            generation=generation,
            arrivals=self.totals["arrivals"],
            completions=self.totals["completions"],
            refused=self.totals["refused"],
            errors_4xx=self.totals["errors_4xx"],
            errors_5xx=self.totals["errors_5xx"],
            outlives_agent=True,
        )

    def forget(self, workers: AbstractSet[str], backends: AbstractSet[str]) -> None:
        """Keep only what is still of use: these workers, and these backends or those that a worker's slot holds."""
        self.workers = {key: worker for key, worker in self.workers.items() if key in workers}
        kept = set(backends).union(*(worker.holders.values() for worker in self.workers.values()))
        self.backends = {name: counted for name, counted in self.backends.items() if name in kept}

    def write(self, path: Path) -> None:
        """Replace the file. Not synced: after a crash of the machine a new series begins. Raises OSError."""
        content = {
            "series": self.series,
            "boot": self.boot,
            "began_s": self.began_s,
            "totals": self.totals,
            "backends": {
                name: [one.arrivals, one.errors, one.refused, one.total_ms, round(max(0.0, one.busy_ms))]
                for name, one in self.backends.items()
            },
            "workers": {key: [one.totals, one.servers, one.holders] for key, one in self.workers.items()},
        }
        draft = path.with_suffix(".new")
        draft.write_bytes(to_json(content))
        draft.replace(path)


def read_ledger(path: Path, boot: str) -> Ledger:
    """The one on disk, or a new one where there is none that can be read or the machine was restarted."""
    try:
        content = from_json(path.read_bytes())
        return _believed(content, boot) if content["boot"] == boot else Ledger(boot=boot, fresh=False)
    except FileNotFoundError:
        return Ledger(boot=boot)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Ledger(boot=boot)


def boot_id() -> str:
    """What names this run of the machine; its monotonic clock began with it."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return os.uname().nodename


def _believed(content: dict[str, Any], boot: str) -> Ledger:
    return Ledger(
        series=str(content["series"])[:128],
        boot=boot,
        began_s=min(float(content["began_s"]), monotonic()),
        fresh=False,
        totals={name: _count(content["totals"][name]) for name in (*TOTALS, "refused")},
        backends={str(name): Counted(*map(_count, row)) for name, row in content["backends"].items()},
        workers={
            str(key): Worker(
                [_count(one) for one in totals],
                {str(slot): [*map(_count, row), 0, 0, 0, 0][:4] for slot, row in servers.items()},
                {str(slot): str(name) for slot, name in holders.items()},
            )
            for key, (totals, servers, holders) in content["workers"].items()
        },
    )


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"ledger: a counter must be a whole number from 0 up, was {value!r}")
    return value


def _read_so_far(counters: ServerCounters) -> list[int]:
    sum_ms = counters.total_ms * min(counters.arrivals, MEAN_OVER)
    return [counters.arrivals, counters.errors, counters.failures, sum_ms]


def _elapsed(before: list[int], now: list[int]) -> float:
    """What the requests between two reads took together.

    HAProxy keeps a sum of which each request takes its 512th part away before it adds its own time, and shows the
    sum over the number of requests, 512 at most (swrate_add and swrate_avg in its freq_ctr.h). So both give back the
    two sums, and those what was added between; within the rounding of the mean.
    """
    return now[3] - before[3] * (1 - 1 / MEAN_OVER) ** (now[0] - before[0])
