"""Whether all is well, in words: what the page says first. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.settings import PolicySettings

# Fewer failed answers than this in the window say nothing about the app.
ERRORS_TOLD_RPS = 0.5
ERRORS_WARN, ERRORS_BAD = 0.01, 0.1
AT_MAX = "max:"


class Level(StrEnum):
    """From nothing to do to somebody should look at once."""

    GOOD = "good"
    BUSY = "busy"
    WARN = "warn"
    BAD = "bad"


SEVERITY = (Level.BAD, Level.WARN, Level.BUSY, Level.GOOD)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`title` is the gravest finding, `lines` the others."""

    level: Level
    title: str
    lines: tuple[str, ...] = ()


Finding = tuple[Level, str]


def verdict(
    content: dict[str, Any], numbers: dict[str, Any], policy: PolicySettings, failing: float | None = None
) -> Verdict:
    """Judge what `status_json` gave together with the rates of the last seconds.

    `failing` is the share of failed answers, None while it is not worth a word.
    """
    phases = Counter(str(backend["phase"]) for backend in content["backends"])
    found = [
        *_serving(content, numbers, phases),
        *_proxies(content),
        *_errors(failing),
        *_scalers(content),
        *_held(numbers, phases),
        *_limits(content, policy),
    ]
    found.sort(key=lambda finding: SEVERITY.index(finding[0]))
    if found and found[0][0] is not Level.GOOD:
        level, title = found[0]
        return Verdict(level, title, tuple(text for _, text in found[1:]))
    return Verdict(Level.GOOD, "All well", (_calm(content, phases), *(text for _, text in found)))


def unreachable(reason: str) -> Verdict:
    """What is said while the store does not answer."""
    return Verdict(
        Level.BAD,
        "No data: the store does not answer",
        (reason, "Proxies go on with what they know. What is shown here was true before."),
    )


def _serving(content: dict[str, Any], numbers: dict[str, Any], phases: Counter[str]) -> Iterator[Finding]:
    serving, desired = content["serving"], content["desired"]
    if serving is None or desired is None:
        yield Level.WARN, "Nothing decided yet: no scaler has published a fleet"
        return
    if phases["failed"]:
        yield Level.WARN, f"{_count(phases['failed'], 'instance')} failed and {_be(phases['failed'])} being removed"
    under_way = _listed(phases, ("starting", "warming"))
    if serving < desired:
        level = Level.BUSY if under_way and serving else Level.WARN if under_way else Level.BAD
        rest = under_way or "nothing is being started"
        yield level, f"{serving} of {desired} serving: {rest}" if serving else f"Nothing serves yet: {rest}"
    elif under_way:
        yield Level.BUSY, f"{_count(serving, 'instance')} serving, {under_way}"
    if leaving := _listed(phases, ("draining", "stopping")):
        yield Level.BUSY, f"{_count(serving, 'instance')} serving, {leaving}"
    if content["state"] == "READY":
        yield Level.BUSY, "A proxy has yet to apply the last change"
    if numbers["in_flight"] is not None and not serving and not desired:
        yield Level.GOOD, "Scaled to nothing: the first request starts an instance"


def _proxies(content: dict[str, Any]) -> Iterator[Finding]:
    proxies = content["proxies"]
    silent = [proxy["id"] for proxy in proxies if proxy["silent"]]
    if not proxies:
        yield Level.WARN, "No data from the proxies: none has reported yet"
    elif len(silent) == len(proxies):
        who = silent[0] if len(silent) == 1 else f"all {len(silent)} of them"
        yield Level.BAD, f"No data from the proxies: {who} fell silent"
    elif silent:
        which = ", ".join(silent[:3]) + (", ..." if len(silent) > 3 else "")
        yield Level.WARN, f"{len(silent)} of {len(proxies)} proxies silent: {which}"


def failing_share(numbers: dict[str, Any]) -> float | None:
    """The share of the answers that failed, None where it is not worth a word."""
    errors, rps = numbers["errors"], numbers["rps"]
    if not errors or not rps or errors < ERRORS_TOLD_RPS:
        return None
    share = min(1.0, float(errors / rps))
    return share if share >= ERRORS_WARN else None


def _errors(failing: float | None) -> Iterator[Finding]:
    if failing is not None:
        yield Level.BAD if failing >= ERRORS_BAD else Level.WARN, f"{failing:.0%} of the answers are errors (5xx)"


def _scalers(content: dict[str, Any]) -> Iterator[Finding]:
    if not any(scaler["acting"] for scaler in content["scalers"]):
        waiting = len(content["scalers"])
        rest = f"{waiting} {'waits' if waiting == 1 else 'wait'}" if waiting else "none is running"
        yield Level.BAD, f"Nobody decides: no scaler acts, {rest}"
    if faults := content["faults"]:
        yield Level.WARN, f"{_count(len(faults), 'thing')} in the store cannot be believed"


def _held(numbers: dict[str, Any], phases: Counter[str]) -> Iterator[Finding]:
    if held := numbers["held"]:
        words = f"{_count(held, 'request')} waiting for an instance"
        yield Level.WARN if phases["serving"] else Level.BUSY, words


def _limits(content: dict[str, Any], policy: PolicySettings) -> Iterator[Finding]:
    if any(reason.startswith(AT_MAX) for reason in content["reasons"]):  # as the scaler's alarm; not when it is enough
        yield Level.WARN, f"At the maximum of {policy.max}: more load finds no more instances"
    if content["paused"]:
        yield Level.GOOD, "Paused by order: desired stays until 'stoker resume'"
    if canary := content.get("canary"):
        yield Level.GOOD, f"A canary is tried: {canary['release']} on {canary['share']:g} % of the traffic"
    if content["manual"] is not None:
        yield Level.GOOD, f"Held at {content['manual']} by order until 'stoker scale auto'"


def _calm(content: dict[str, Any], phases: Counter[str]) -> str:
    serving, reporting = phases["serving"], sum(not proxy["silent"] for proxy in content["proxies"])
    return f"{serving} of {content['desired']} serving, {_count(reporting, 'proxy', 'proxies')} reporting"


def _listed(phases: Counter[str], names: tuple[str, ...]) -> str:
    told = [f"{phases[name]} {_be(phases[name])} {name}" for name in names if phases[name]]
    return ", ".join(told)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _be(number: int) -> str:
    return "is" if number == 1 else "are"
