from __future__ import annotations

import asyncio
import json

import pytest

from fleet.crash import Symptom
from fleet.crash_document import unpack
from fleet.crash_packing import Packer
from fleet.crash_told import Found
from tests.contracts.crashes import document, failure

FOUND = Found(1.0, "mitmproxy", "mitmproxy-web-8080", "production1")
LARGE = {"mode": "wall", "raw": list(range(100_000))}


@pytest.mark.parametrize("changes", [{}, {"profile": LARGE}])
async def test_small_and_large_documents_are_packed_alike(changes: dict[str, object]) -> None:
    raw = document("c1", **changes)
    async with Packer() as packer:
        packed = await packer.packed(raw, "c1", failure("c1"))
    assert failure("c1") == packed.failure
    capture = packed.capture
    assert ("ZeroDivisionError", True, "capture") == (capture.exception, capture.profiled, str(capture.source))
    kept = json.loads(unpack(packed.content))
    assert ("production1", "status", "capture") == tuple(kept["proxy"][key] for key in ("backend", "failure", "source"))
    assert json.loads(raw)["profile"] == kept["profile"]


async def test_of_a_crash_that_was_found_the_app_tells_the_rest() -> None:
    async with Packer() as packer:
        packed = await packer.packed(document("c1", why="slow"), "c1", FOUND)
        undated = await packer.packed(document("c1", at=None), "c1", FOUND)
    assert failure("c1", at=1732345678.123, status=None, failure=Symptom.SLOW) == packed.failure
    assert "slow" == json.loads(unpack(packed.content))["proxy"]["failure"]
    assert (1.0, Symptom.RAISED) == (undated.failure.at, undated.failure.failure)


async def test_what_is_no_document_is_refused_in_one_line_and_the_next_is_read() -> None:
    async with Packer() as packer:
        for raw in (b"<html>", b"\n", b"", b"<html>\n" * 100_000, b"[" * 1_000_000):
            with pytest.raises(ValueError, match=r"^not JSON: [^\n]*$"):
                await packer.packed(raw, "c1", FOUND)
        assert "c1" == (await packer.packed(document("c1"), "c1", FOUND)).capture.id


async def test_after_the_death_of_its_process_another_one_reads_on() -> None:
    async with Packer() as packer:
        await packer.packed(document("c1"), "c1", FOUND)
        first = packer._process
        assert first is not None
        first.kill()
        await first.wait()
        with pytest.raises(ValueError, match="the process that reads it ended"):
            await packer.packed(document("c1"), "c1", FOUND)
        assert "c1" == (await packer.packed(document("c1"), "c1", FOUND)).capture.id
        second = packer._process
    assert second is not None
    assert second is not first
    await second.wait()


async def test_many_at_once_take_turns() -> None:
    async with Packer() as packer:
        packed = await asyncio.gather(*(packer.packed(document(f"c{n}"), f"c{n}", FOUND) for n in range(20)))
    assert [f"c{n}" for n in range(20)] == [one.capture.id for one in packed]
