from __future__ import annotations

import asyncio
import json

import pytest

from fleet.crash_document import unpack
from fleet.crash_packing import Packer
from tests.contracts.crashes import document

LARGE = {"mode": "wall", "raw": list(range(100_000))}


@pytest.mark.parametrize("changes", [{}, {"profile": LARGE}])
async def test_small_and_large_documents_are_packed_alike(changes: dict[str, object]) -> None:
    raw = document("c1", **changes)
    async with Packer() as packer:
        capture, content = await packer.packed(raw, "c1", {"backend": "production1"})
    assert ("ZeroDivisionError", True, "capture") == (capture.exception, capture.profiled, str(capture.source))
    kept = json.loads(unpack(content))
    assert {"backend": "production1"} == kept["proxy"]
    assert json.loads(raw)["profile"] == kept["profile"]


async def test_what_is_no_document_is_refused_in_one_line_and_the_next_is_read() -> None:
    async with Packer() as packer:
        for raw in (b"<html>", b"\n", b"", b"<html>\n" * 100_000, b"[" * 1_000_000):
            with pytest.raises(ValueError, match=r"^not JSON: [^\n]*$"):
                await packer.packed(raw, "c1", {})
        assert "c1" == (await packer.packed(document("c1"), "c1", {}))[0].id


async def test_after_the_death_of_its_process_another_one_reads_on() -> None:
    async with Packer() as packer:
        await packer.packed(document("c1"), "c1", {})
        first = packer._process
        assert first is not None
        first.kill()
        await first.wait()
        with pytest.raises(ValueError, match="the process that reads it ended"):
            await packer.packed(document("c1"), "c1", {})
        assert "c1" == (await packer.packed(document("c1"), "c1", {}))[0].id
        second = packer._process
    assert second is not None
    assert second is not first
    await second.wait()


async def test_many_at_once_take_turns() -> None:
    async with Packer() as packer:
        packed = await asyncio.gather(*(packer.packed(document(f"c{n}"), f"c{n}", {}) for n in range(20)))
    assert [f"c{n}" for n in range(20)] == [capture.id for capture, _ in packed]
