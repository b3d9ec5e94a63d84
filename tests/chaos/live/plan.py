"""What happens in a live run, drawn by its seed: load and faults. The names are those of the simulated hours."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

# After its last fault a run is left alone for this long, and must have come to rest before its end.
CALM_S = 25.0
FIRST_S = 8.0
BETWEEN_S = 6.0


@dataclass(frozen=True, slots=True)
class Fault:
    """`kind` happens to `target` at a time and lasts so long; `how` is what else the kind asks for."""

    at: float
    kind: str
    target: str = ""
    lasts_s: float = 0.0
    how: str = ""

    def __str__(self) -> str:
        words = [
            f"{self.at:.1f} s",
            self.kind,
            self.target,
            f"for {self.lasts_s:g} s" if self.lasts_s else "",
            self.how,
        ]
        return " ".join(word for word in words if word)


@dataclass(frozen=True, slots=True)
class Plan:
    """`load` holds (requests a second on all planes, until) parts."""

    seed: int
    seconds: float
    load: tuple[tuple[float, float], ...]
    faults: tuple[Fault, ...]
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    boot_s: float = 0.3

    def rps(self, moment: float) -> float:
        """The load at a moment."""
        return next((rate for rate, until in self.load if moment < until), 0.0)


@dataclass(frozen=True, slots=True)
class _Kind:
    targets: tuple[str, ...] = ("",)
    lasts: tuple[float, float] = (0.0, 0.0)
    how: tuple[str, ...] = ("",)
    weight: int = 2


SCALERS, PROXIES = ("acting", "waiting"), ("proxy1", "proxy2")
KINDS: dict[str, _Kind] = {
    "kill": _Kind(SCALERS, (0.3, 8), weight=6),
    "pause": _Kind(SCALERS, (1, 12), weight=5),
    "store-down": _Kind(lasts=(0.5, 15), weight=3),
    "store-hung": _Kind(lasts=(1, 8)),
    "store-wiped": _Kind(weight=3),
    "store-old": _Kind(lasts=(0.5, 2)),
    "store-slow": _Kind(lasts=(3, 12), how=("0.1", "0.3")),
    "cut": _Kind(("acting", "waiting", *PROXIES), (1, 12), weight=5),
    "reboot": _Kind(weight=1),
    "instance-killed": _Kind(weight=5),
    "instance-mute": _Kind(lasts=(0.5, 1.5)),
    "outage": _Kind(lasts=(3, 20)),
    "proxy-killed": _Kind(PROXIES, (0.5, 8), weight=4),
    "proxy-restart": _Kind(PROXIES, (0.5, 2)),
    "agent-killed": _Kind(("proxy2",), (1, 15)),
    "proxy-noack": _Kind(PROXIES, (2, 10)),
    "clock-step": _Kind(("server", "machine"), how=("+3600", "-3600"), weight=1),
    "disk-full": _Kind(lasts=(4, 12)),
    "scale": _Kind(lasts=(5, 15), how=("1", "3", "5"), weight=1),
    "paused": _Kind(lasts=(5, 15), weight=1),
}


def drawn(seed: int, seconds: float) -> Plan:
    """The plan of a seed."""
    rng = Random(seed)  # noqa: S311  # repeatable on purpose
    smallest = rng.choice((0, 1, 1, 2))
    tables = {"policy": {"min": smallest, "max": smallest + rng.choice((3, 5))}}
    return Plan(
        seed, seconds, _load(rng, seconds), _faults(rng, seconds - CALM_S), tables, boot_s=rng.choice((0.1, 0.5, 2.0))
    )


def _load(rng: Random, seconds: float) -> tuple[tuple[float, float], ...]:
    """Climbs and falls, some of them to nothing, and a steady end."""
    parts: list[tuple[float, float]] = []
    at = 0.0
    while at < seconds - CALM_S:
        at = min(at + rng.uniform(6, 25), seconds - CALM_S)
        parts.append((0.0 if rng.random() < 0.15 else round(rng.uniform(2.0, 50.0), 1), at))
    return (*parts, (round(rng.uniform(4.0, 20.0), 1), seconds))


def _faults(rng: Random, last: float) -> tuple[Fault, ...]:
    faults: list[Fault] = []
    at = FIRST_S
    while at < last:
        [name] = rng.choices(list(KINDS), [kind.weight for kind in KINDS.values()])
        kind = KINDS[name]
        lasts_s = round(min(rng.uniform(*kind.lasts), max(last - at, 0.3)), 1)
        faults.append(Fault(round(at, 2), name, rng.choice(kind.targets), lasts_s, rng.choice(kind.how)))
        at += rng.expovariate(1 / BETWEEN_S) if rng.random() < 0.8 else rng.uniform(0, 1)
    return tuple(faults)
