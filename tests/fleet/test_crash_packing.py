from __future__ import annotations

import json

import pytest

from fleet.crash_document import unpack
from fleet.crash_packing import SMALL, packed
from tests.contracts.crashes import document

LARGE = {"mode": "wall", "raw": list(range(100_000))}


@pytest.mark.parametrize("changes", [{}, {"profile": LARGE}])
async def test_small_and_large_documents_are_packed_alike(changes: dict[str, object]) -> None:
    raw = document("c1", **changes)
    assert (len(raw) > SMALL) == bool(changes)
    capture, content = await packed(raw, "c1", {"backend": "production1"})
    assert ("ZeroDivisionError", True, "capture") == (capture.exception, capture.profiled, str(capture.source))
    kept = json.loads(unpack(content))
    assert {"backend": "production1"} == kept["proxy"]
    assert json.loads(raw)["profile"] == kept["profile"]


@pytest.mark.parametrize("raw", [b"<html>", b"<html>" * SMALL, b"[" * SMALL * 2])
async def test_what_is_no_document_is_refused_in_one_line(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not JSON: [^\n]*$"):
        await packed(raw, "c1", {})
