"""What the page shows, as plain data in sections, and what changed between two of them. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fleet.meter import Load, Window, observe
from stoker.lines import happening_json, status_json
from stoker.web.verdict import failing_share, verdict

if TYPE_CHECKING:
    from fleet.crash import Crash
    from fleet.registry import Happening, Sighting, Status
    from fleet.settings import Settings

RATE_S = 4.0
# A share of errors near the limit comes and goes with each look; what is said of it stays for so long after the last.
FAILING_S = 10.0
LONGEST_TEXT, MOST_REASONS = 1000, 20
Section = Any
View = dict[str, Section]

NUMBERS = ("state", "desired", "serving", "min", "schedule", "paused", "manual", "reasons", "generation", "canary")


@dataclass(frozen=True, slots=True)
class Gauge:
    """The rates of the last seconds, from the proxies' own counters: they go on where no scaler runs.

    `failing` is the share of failed answers as last seen at `failing_at`, None once that is long ago.
    """

    arrivals: Window = field(default_factory=Window)
    errors: Window = field(default_factory=Window)
    failing: float | None = None
    failing_at: float = 0.0

    def read(self, now: float, sighting: Sighting) -> tuple[Gauge, dict[str, Any]]:
        """Add one look; gives requests and errors a second, in flight and held, None where nobody reports."""
        failures = replace(sighting, readings=tuple(replace(one, arrivals=one.errors_5xx) for one in sighting.readings))
        arrivals, load = observe(self.arrivals, now, sighting, stable_s=RATE_S, panic_s=RATE_S / 2)
        errors, failed = observe(self.errors, now, failures, stable_s=RATE_S, panic_s=RATE_S / 2)
        rates = {
            "rps": _rounded(load),
            "errors": _rounded(failed),
            "in_flight": load and load.in_flight,
            "held": load and load.held,
        }
        if (share := failing_share(rates)) is not None:
            return Gauge(arrivals, errors, share, now), rates
        failing = self.failing if now - self.failing_at < FAILING_S else None
        return Gauge(arrivals, errors, failing, self.failing_at), rates


def _rounded(load: Load | None) -> float | None:
    return None if load is None or load.stable_rps is None else round(load.stable_rps, 1)


def view(settings: Settings, status: Status, rates: dict[str, Any], failing: float | None = None) -> View:
    """Everything of the present; `rates` and `failing` as a gauge gave them."""
    content = status_json(settings, status)
    numbers = {name: content[name] for name in NUMBERS} | rates
    return {
        "numbers": numbers,
        "backends": {one["name"]: _backend(one) for one in content["backends"]},
        "proxies": [_proxy(one) for one in content["proxies"]],
        "scalers": [{"id": one["id"], "acting": one["acting"]} for one in content["scalers"]],
        "faults": content["faults"],
        "verdict": asdict(verdict(content, numbers, settings.policy, failing)),
    }


def _backend(one: dict[str, Any]) -> list[Any]:
    """In flight comes first, because it alone changes all the time."""
    return [one["in_flight"], one["phase"], one["since"], one["host"], one["weight"], one["spec"], one["url"]]


def _proxy(one: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "silent", "generation", "in_flight", "held", "errors_5xx")
    return {name: one.get(name) for name in names}


def changed(before: View, after: View) -> View:
    """The sections that differ: of `numbers` and `backends` only what differs in them.

    A backend that is gone is null; one that differs in its requests in flight alone is that number.
    """
    found = {name: section for name, section in after.items() if before.get(name) != section}
    if "numbers" in found:
        old = before.get("numbers", {})
        found["numbers"] = {name: value for name, value in after["numbers"].items() if old.get(name, ...) != value}
    if "backends" in found:
        found["backends"] = _changed_backends(before.get("backends", {}), after["backends"])
    return found


def _changed_backends(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {name: None for name in before if name not in after}
    for name, one in after.items():
        old = before.get(name)
        if old != one:
            same_but_load = old is not None and old[1:] == one[1:] and one[0] is not None
            found[name] = one[0] if same_but_load else one
    return found


def sample(now: float, numbers: dict[str, Any]) -> list[Any]:
    """One point of the chart."""
    values = [numbers.get(name) for name in ("rps", "errors", "in_flight", "held", "serving", "desired")]
    return [round(now, 1), *values]


def event(entry_id: str, happening: Happening) -> dict[str, Any]:
    """One line of the history, its texts cut where they are longer than anybody would read here."""
    line = happening_json(happening)
    reasons = [reason[:LONGEST_TEXT] for reason in line["reasons"][:MOST_REASONS]]
    texts = {name: str(line[name])[:LONGEST_TEXT] for name in ("kind", "subject", "from", "to")}
    return {"id": entry_id, "at": line["at"], **texts, "reasons": reasons}


def crash(one: Crash) -> dict[str, Any]:
    """One failed request, as the list of crashes shows it."""
    failure, capture = one.failure, one.capture
    return {
        "id": failure.id,
        "at": failure.at,
        "backend": failure.backend,
        "request": f"{failure.method} {failure.path}",
        "how": str(failure.status) if failure.status else str(failure.failure),
        "duration_ms": round(failure.duration_ms),
        "exception": capture.exception if capture else "",
        "message": (capture.message or "")[:LONGEST_TEXT] if capture else "",
        "where": capture.where if capture else "",
        "drawn": capture is not None,
        "reason": one.reason,
    }
