"""The entries of the stream of crashes: written as text, and read with suspicion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleet.crash import CRASH_ID, Capture, Entry, Failure, Source, Symptom, Uncaptured
from fleet.store.fields import finite, number, text

if TYPE_CHECKING:
    from collections.abc import Mapping

# Every text is cut here once more; whoever writes it has limits of his own.
TEXT_LIMIT = 2000


def entry_fields(entry: Entry) -> list[str]:
    """Field and value by turns; entries of one kind have the same fields in the same order."""
    match entry:
        case Failure():
            pairs = {
                "kind": "failed",
                "id": entry.id,
                "at": repr(entry.at),
                "plane": entry.plane,
                "proxy": entry.proxy,
                "backend": entry.backend,
                "method": entry.method,
                "path": entry.path,
                "status": "" if entry.status is None else str(entry.status),
                "failure": entry.failure,
                "duration_ms": f"{entry.duration_ms:.1f}",
            }
        case Capture():
            pairs = {
                "kind": "captured",
                "id": entry.id,
                "exception": entry.exception,
                "message": entry.message or "",
                "said": str(int(entry.message is not None)),
                "where": entry.where,
                "profiled": str(int(entry.profiled)),
                "unprofiled": entry.unprofiled,
                "source": entry.source,
            }
        case Uncaptured():
            pairs = {"kind": "uncaptured", "id": entry.id, "reason": entry.reason}
    return [part for pair in pairs.items() for part in (pair[0], _storable(pair[1]))]


def read_entry(fields: Mapping[bytes, bytes]) -> Entry | None:
    """None for what no data plane could have written."""
    read = {text(name): text(value)[:TEXT_LIMIT] for name, value in fields.items()}
    if not CRASH_ID.fullmatch(read.get("id", "")):
        return None
    match read.get("kind"):
        case "failed":
            return _failure(read, fields)
        case "captured" if read.get("source") in set(Source):
            return Capture(
                id=read["id"],
                exception=read.get("exception", ""),
                message=read.get("message", "") if read.get("said") == "1" else None,
                where=read.get("where", ""),
                profiled=read.get("profiled") == "1",
                unprofiled=read.get("unprofiled", ""),
                source=Source(read["source"]),
            )
        case "uncaptured":
            return Uncaptured(read["id"], read.get("reason", ""))
        case _:
            return None


def _failure(read: Mapping[str, str], fields: Mapping[bytes, bytes]) -> Failure | None:
    if read.get("failure") not in set(Symptom):
        return None
    return Failure(
        id=read["id"],
        at=finite(fields.get(b"at")) or 0.0,
        plane=read.get("plane", ""),
        proxy=read.get("proxy", ""),
        backend=read.get("backend", ""),
        method=read.get("method", ""),
        path=read.get("path", ""),
        status=number(fields.get(b"status"), 1000),
        failure=Symptom(read["failure"]),
        duration_ms=finite(fields.get(b"duration_ms")) or 0.0,
    )


def _storable(value: str) -> str:
    return value[:TEXT_LIMIT].encode("utf-8", "replace").decode("utf-8")
