"""The fleet's state and history as text and as JSON: pure, so that a terminal and a script are shown the same facts."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fleet.backend import Phase
from fleet.registry import LEASE_TTL_S

if TYPE_CHECKING:
    from fleet.backend import Backend
    from fleet.registry import Happening, ProxyReading, Status
    from fleet.release import Releases
    from fleet.settings import Settings

GONE_S = 3 * LEASE_TTL_S  # a scaler that lives shows itself several times in this


def status_json(settings: Settings, status: Status) -> dict[str, Any]:
    """The one object of `stoker status --json`. What nobody has reported is null, never zero."""
    summary, snapshot = status.summary, status.snapshot
    backends = tuple(snapshot.backends.values()) if snapshot else ()
    return {
        "fleet": settings.fleet,
        "app": settings.app,
        "state": summary and summary.state,
        "desired": summary and summary.desired,
        "serving": sum(backend.phase is Phase.SERVING for backend in backends) if snapshot else None,
        "min": summary and summary.minimum,
        "max": settings.policy.max,
        "schedule": (summary and summary.schedule) or None,
        "rps": summary and summary.rps,
        "in_flight": summary and summary.in_flight,
        "held": summary and summary.held,
        "paused": bool(summary and summary.paused),
        "manual": summary and summary.manual,
        "reasons": list(summary.reasons) if summary else [],
        "canary": asdict(summary.canary) if summary and summary.canary else None,
        "generation": snapshot and snapshot.generation,
        "releases": releases_json(status.releases),
        "backends": [_backend(backend, status.sighting.readings) for backend in backends],
        "proxies": [_proxy(reading) for reading in status.sighting.readings]
        + [{"id": proxy, "silent": True} for proxy in status.sighting.silent],
        "scalers": [
            {"id": scaler, "acting": scaler == status.acting, "seen_s": round(age_s, 1)}
            for scaler, age_s in status.scalers
            if age_s < GONE_S or scaler == status.acting
        ],
        "faults": [
            *(snapshot.faults if snapshot else ()),
            *status.sighting.faults,
            *status.extra.values(),
        ],
    }


def releases_json(releases: Releases | None) -> dict[str, Any] | None:
    """What is in force, what was before, and the way between them."""
    return asdict(releases) if releases else None


def canary_lines(canary: dict[str, Any]) -> list[str]:
    """What people are told of a canary: its share, what finished in both sets, how far it is from being cut off."""
    kept = ", clients keep to their set" if canary["sticky"] else ""
    failed = f", {canary['deaths']} of its instances failed" if canary["deaths"] else ""
    against = f"errors {canary['errors']:.0%}"
    against += f", times {canary['times']:.0%}" if canary["warm"] else ", times not yet"
    return [
        (
            f"canary {canary['release']}: {canary['share']:g} % of the traffic on {canary['serving']} serving, "
            f"ordered {canary['wanted']} %{kept}{failed}"
        ),
        *(f"  {name}: {_set(canary[name])}" for name in ("canary", "stable")),
        f"  evidence against it on the way to a cut: {against}",
    ]


def _set(seen: dict[str, Any]) -> str:
    rate = seen["errors"] / seen["finished"] if seen["finished"] else 0.0
    return f"{seen['finished']} requests, {seen['errors']} failed ({rate:.1%}), {seen['mean_ms']:.0f} ms"


def _backend(backend: Backend, readings: tuple[ProxyReading, ...]) -> dict[str, Any]:
    seen = [found for reading in readings if (found := (reading.backends or {}).get(backend.name))]
    return {
        "name": backend.name,
        "url": backend.url,
        "phase": backend.phase,
        "in_flight": sum(counters.in_flight for counters in seen) if readings else None,
        "host": backend.host,
        "since": backend.since,
        "weight": backend.weight,
        "spec": backend.spec,
    }


def _proxy(reading: ProxyReading) -> dict[str, Any]:
    return {
        "id": reading.id,
        "generation": reading.generation,
        "in_flight": reading.in_flight,
        "held": reading.held,
        "arrivals": reading.arrivals,
        "completions": reading.completions,
        "errors_5xx": reading.errors_5xx,
        "uptime_s": reading.uptime_ms // 1000,
        "silent": False,
    }


def happening_json(happening: Happening) -> dict[str, Any]:
    """One line of `stoker events --json`."""
    return {
        "at": happening.at,
        "kind": happening.kind,
        "subject": happening.subject,
        "from": happening.before,
        "to": happening.after,
        "reasons": list(happening.reasons),
    }


def happening_line(happening: Happening) -> str:
    """The same for people: when, what, from where to where, and why."""
    change = " -> ".join(word for word in (happening.before, happening.after) if word)
    why = f"  ({'; '.join(happening.reasons)})" if happening.reasons else ""
    match happening.kind:
        case "decision":
            what = "desired"
        case "state":
            what = "state"
        case "instance":
            what = happening.subject
        case kind:
            what = f"{kind} {happening.subject}"
    return f"{clock_time(happening.at)}  {what:<14} {change}{why}".rstrip()


def clock_time(at: float) -> str:
    """The local time of day."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M:%S")


def age(seconds: float) -> str:
    """A duration as people say it."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def shown(value: float | None, digits: int = 4) -> str:
    """A number for people; what is not known is a dash."""
    return "-" if value is None else f"{value:.{digits}g}"
