"""What the picture of a crash tells beside the frames: what failed, when, and how far to trust the samples."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from flamegraph.text import duration, number

if TYPE_CHECKING:
    from flamegraph.crash_document import CrashDocument
    from flamegraph.profile import Profile

WHY: Final = {"raised": "raised", "status": "answered", "body": "broke off in its body", "slow": "was slow"}
FAILURE: Final = {"aborted": "aborted", "broken": "broken off", "slow": "slow"}
STOPPED: Final = {
    "close": "the profile covers the request until its body was closed",
    "timeout": "the profile ends before the body did: it covers the first 10 s of it",
    "return": "the profile covers the request until the app returned",
}
MIXED: Final = (
    "threads: mixed: stackprof {} samples every thread of the process, so other requests' work stands here too; "
    "the way to the exception is this request's own"
)
KEY: Final = (
    "Red: the way to the exception. Pale: frames that were not sampled, drawn where they were raised; "
    "they weigh nothing and count in no total."
)


def title_of(document: CrashDocument) -> str:
    """The headline."""
    if document.fault is not None:
        return f"{document.fault.name} in {document.request}"
    status = f" {document.status}" if document.why == "status" and document.status else ""
    return f"{document.request} {WHY.get(document.why, 'failed')}{status}"


def said_of(document: CrashDocument, profile: Profile) -> list[str]:
    """The lines under the headline, the most important first."""
    lines: list[str] = []
    if document.fault is not None:
        message = document.fault.message.strip()
        lines += [f"{document.fault.name}: {message}" if message else document.fault.name]
        lines += [f"caused by {document.fault.cause}"] if document.fault.cause else []
    lines += [" · ".join(filter(None, _request(document))), " · ".join(filter(None, _recording(document, profile)))]
    if document.threads == "mixed":
        version = document.versions.get("stackprof", "this version")
        lines += [MIXED.format(version)]
    if document.proxy.get("source") == "replay" or document.page:
        lines += ["replay, not the failed request"]
    if profile.order and document.stopped in STOPPED:
        lines += [STOPPED[document.stopped]]
    if profile.raised and profile.raised.stack:
        lines += [KEY]
    return lines


def _request(document: CrashDocument) -> list[str]:
    # Where an exception left the app, the server has answered for it, and only the proxy saw how.
    status = document.proxy.get("status", "no status") if document.status is None else str(document.status)
    took = ""
    if document.started_us is not None and document.stopped_us is not None:
        took = f"took {duration(max(document.stopped_us - document.started_us, 0))}"
    where = document.proxy.get("backend") or document.host
    return [
        document.request,
        status,
        FAILURE.get(document.proxy.get("failure", ""), ""),
        _time(document.at),
        took,
        f"on {where}" if where else "",
        ", ".join(
            f"{name} {version}" for name, version in document.versions.items() if version and name != "stackprof"
        ),
    ]


def _recording(document: CrashDocument, profile: Profile) -> list[str]:
    if not profile.order:
        why = document.unprofiled or "no samples"
        return [f"backtrace only: {why}" if document.fault else f"neither samples nor a backtrace: {why}"]
    samples = profile.samples if profile.samples is not None else sum(profile.weights)
    clock = {"wall": "wall clock", "cpu": "processor time"}.get(profile.mode, profile.mode)
    every = f" every {duration(profile.interval)}" if profile.interval else ""
    facts = [f"{_samples(samples)}, {clock}{every}"]
    if profile.mode == "cpu":
        facts.append("waits are not seen")
    if profile.unit == "microseconds":
        facts.append("widths are time")
    if profile.missed:
        facts.append(f"{number(profile.missed)} missed")
    if profile.gc_samples:
        facts.append(f"{_samples(profile.gc_samples)} of the garbage collector")
    return facts


def _samples(count: float) -> str:
    return "1 sample" if count == 1 else f"{number(count)} samples"


def _time(at: float | None) -> str:
    if at is None:
        return ""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return ""
