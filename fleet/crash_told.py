"""A crash of which the data plane knows nothing but where it was found, in the app's own words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from fleet.crash import Failure, Source, Symptom

if TYPE_CHECKING:
    from fleet.crash_document import Document

SYMPTOMS = {"raised": Symptom.RAISED, "status": Symptom.STATUS, "body": Symptom.BROKEN, "slow": Symptom.SLOW}


@dataclass(frozen=True, slots=True)
class Found:
    """Where and when a document was found."""

    at: float
    plane: str
    proxy: str
    backend: str


def told(document: Document, found: Found) -> Failure:
    """The failure as the app tells it; `at` is that of the find where the app does not say when it was."""
    content, request = document.content, document.content["request"]
    return Failure(
        id=content["id"],
        at=content["at"] or found.at,
        plane=found.plane,
        proxy=found.proxy,
        backend=found.backend,
        method=request["method"],
        path=request["path"],
        status=None if request["status"] is None else int(request["status"]),
        failure=SYMPTOMS[content["why"]],
        duration_ms=request["duration_ms"] or 0.0,
    )


def about(failure: Failure, source: Source) -> dict[str, object]:
    """What stands of it in the kept document."""
    return {key: value for key, value in asdict(failure).items() if key != "id"} | {"source": source}
