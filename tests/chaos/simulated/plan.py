"""What one simulated hour is made of: settings, parts, load and faults; drawn by seed, or read from a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from fleet.settings import LifeSettings, PolicySettings
from scaler.state import Policy

APP, SPEC = "web", "spec1"
HOUR_S = 3600.0
# After its last fault a run is left alone for this long, and must have come to rest before its end.
CALM_S = 420.0
HOSTS = ("a", "b")
# What becomes of the instances of an image: never ready, gone before or after they served for a while, not to be had.
IMAGES = ("good", "good", "good", "stuck", "crash", "late", "missing")
MOMENTS = ("now", "survey", "publish", "published", "start", "stop", "report", "answer")


@dataclass(frozen=True, slots=True)
class Fault:
    """`kind` happens to `target` at a time and lasts so long; `how` is what else the kind asks for."""

    at: float
    kind: str
    target: str = ""
    lasts_s: float = 0.0
    how: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole run. `proxies` are kinds by id; `load` holds (requests a second, until) parts."""

    seed: int
    load: tuple[tuple[float, float], ...]
    faults: tuple[Fault, ...] = ()
    scalers: int = 2
    hosts: int = 1
    proxies: tuple[str, ...] = ("mitmproxy", "haproxy")
    boot_s: float = 3.0
    answer_s: float = 0.1
    slow_share: float = 0.002
    image: str = ""  # of the settings; "" asks no engine for one
    sizes: Mapping[str, Any] = field(default_factory=dict)
    life: Mapping[str, Any] = field(default_factory=dict)

    @property
    def until_s(self) -> float:
        """The end."""
        return self.load[-1][1]

    def policy(self) -> Policy:
        """What the scalers run by."""
        return Policy(APP, SPEC, PolicySettings(**self.sizes), LifeSettings(**self.life), image=self.image)


def drawn(seed: int, until_s: float = HOUR_S) -> Plan:
    """The plan of a seed."""
    rng = Random(seed)  # noqa: S311  # repeatable on purpose
    proxies = tuple(rng.choice(("mitmproxy", "haproxy")) for _ in range(rng.choice((2, 2, 3))))
    smallest = rng.choice((0, 0, 1, 2))
    largest = smallest + rng.choice((3, 5, 8))
    plan = Plan(
        seed,
        _load(rng, largest, until_s),
        scalers=rng.choice((2, 2, 2, 3)),
        hosts=rng.choice((1, 1, 2)),
        proxies=proxies,
        boot_s=rng.choice((0.5, 3.0, 8.0)),
        answer_s=rng.choice((0.05, 0.3, 1.0)),
        slow_share=rng.choice((0.0, 0.001, 0.01)),
        image="good" if seed % 2 else "",
        sizes={
            "min": smallest,
            "max": largest,
            "stable_window_s": rng.choice((20.0, 60.0)),
            "stabilisation_s": rng.choice((0.0, 60.0)),
        },
        life={
            "start_timeout_s": 30.0,
            "drain_timeout_s": rng.choice((10.0, 30.0)),
            "stop_grace_s": 5.0,
            "stop_timeout_s": 40.0,
            "backoff_max_s": 30.0,
            "probe_serving_s": 5.0,
            "settle_s": 5.0,
            "proxy_forget_s": 60.0,
        },
    )
    return _with_releases(seed, _with_faults(rng, plan))


def _load(rng: Random, largest: int, until_s: float) -> tuple[tuple[float, float], ...]:
    """Climbs and falls, some of them to nothing and back, and a steady end."""
    parts: list[tuple[float, float]] = []
    at = 0.0
    while at < until_s - CALM_S:
        at = min(at + rng.uniform(20, 240), until_s - CALM_S)
        rate = 0.0 if rng.random() < 0.2 else round(rng.uniform(0.5, 10.0 * largest * 1.1), 1)
        parts.append((rate, round(at, 1)))
    calm = rng.choice((0.0, 3.0, 25.0, round(rng.uniform(1, 10 * largest), 1)))
    return (*parts, (calm, until_s))


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a kind of fault is drawn: whom it hits, how long it lasts, and how else."""

    targets: str = ""
    lasts: tuple[float, float] = (0.0, 0.0)
    how: tuple[str, ...] = ("",)
    weight: int = 2


KINDS: Mapping[str, _Kind] = {
    "kill": _Kind("scaler", (0.3, 15), MOMENTS, 6),
    "pause": _Kind("scaler", (1, 40), MOMENTS, 6),
    "store-down": _Kind("", (1, 70)),
    "store-wiped": _Kind("", weight=3),
    "store-old": _Kind("", (5, 600)),
    "store-failover": _Kind("", (0.5, 4)),
    "store-slow": _Kind("", (5, 60), ("0.2", "0.5", "1.5")),
    "cut": _Kind("scaler proxy", (1, 90), weight=5),
    "engine-silent": _Kind("host", (3, 90)),
    "engine-restart": _Kind("host", (2, 8), ("live", "dead")),
    "engine-hung": _Kind("host", (5, 60)),
    "reboot": _Kind("host", (10, 40), weight=1),
    "instance-killed": _Kind("instance", weight=4),
    "instance-mute": _Kind("instance", (10, 120)),
    "instance-bad": _Kind("instance", (10, 120)),
    "outage": _Kind("", (5, 120)),
    "starts-fail": _Kind("", (5, 60)),
    "starts-stuck": _Kind("", (5, 60)),
    "starts-crash": _Kind("", (5, 60)),
    "proxy-killed": _Kind("proxy", (0.5, 100), weight=4),
    "proxy-restart": _Kind("proxy", (1, 5)),
    "agent-killed": _Kind("haproxy", (1, 100)),
    "proxy-noack": _Kind("proxy", (5, 60)),
    "clock-step": _Kind("clock", (1, 1), ("3600", "-3600"), 1),
    "disk-full": _Kind("", (10, 200), weight=1),
    "scale": _Kind("", (10, 60), ("1", "3", "5"), 1),
    "paused": _Kind("", (10, 60), weight=1),
    # What people do with releases, and how a scaler ends in order: drawn apart, by _with_releases.
    "deploy": _Kind("", how=IMAGES, weight=0),
    "rollback": _Kind("", weight=0),
    "canary": _Kind("", (30, 150), ("good", "bad", "stuck", "late"), 0),
    "terminate": _Kind("scaler", (0.5, 20), weight=0),
    "close": _Kind("scaler", (5, 60), weight=0),
}
RELEASES = ("deploy", "deploy", "deploy", "rollback", "canary", "canary", "terminate", "terminate", "close")
INSIST_S = 300.0


def _with_releases(seed: int, plan: Plan) -> Plan:
    """Drawn by a chance of its own, so that all else that befalls a seed stays. In the end a good image is wanted."""
    rng = Random(f"releases of {seed}")  # noqa: S311  # repeatable on purpose
    found: list[Fault] = []
    at, last = rng.uniform(60, 900), plan.until_s - CALM_S - INSIST_S
    while at < last - 100:
        kind = rng.choice(RELEASES)
        whom = f"scaler{rng.randint(1, plan.scalers)}" if KINDS[kind].targets else ""
        found.append(
            Fault(round(at, 2), kind, whom, round(rng.uniform(*KINDS[kind].lasts), 1), rng.choice(KINDS[kind].how))
        )
        at += rng.uniform(40, 900)
    if any(one.kind in {"deploy", "rollback", "canary"} for one in found):
        found.append(Fault(last, "deploy", "", INSIST_S, "good"))
    return replace(plan, faults=tuple(sorted((*plan.faults, *found), key=lambda fault: fault.at)))


def _with_faults(rng: Random, plan: Plan) -> Plan:
    names = {
        "": ("",),
        "scaler": tuple(f"scaler{number + 1}" for number in range(plan.scalers)),
        "proxy": tuple(f"proxy{number + 1}" for number in range(len(plan.proxies))),
        "haproxy": tuple(f"proxy{number + 1}" for number, kind in enumerate(plan.proxies) if kind == "haproxy"),
        "host": HOSTS[: plan.hosts],
        "instance": tuple(str(number) for number in range(4)),
        "clock": ("server", "machine"),
    }
    weights = [kind.weight for kind in KINDS.values()]
    faults: list[Fault] = []
    at, last = rng.uniform(5, 60), plan.until_s - CALM_S
    while at < last:
        [name] = rng.choices(list(KINDS), weights)
        kind = KINDS[name]
        whom = [one for group in kind.targets.split(" ") for one in names[group]]
        lasts_s = round(min(rng.uniform(*kind.lasts), last - at), 1)
        if whom:
            faults.append(Fault(round(at, 2), name, rng.choice(whom), lasts_s, rng.choice(kind.how)))
        at += rng.expovariate(1 / 40) if rng.random() < 0.8 else rng.uniform(0, 3)
    return replace(plan, faults=tuple(faults))
