from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import sys
from typing import TYPE_CHECKING

import aiohttp
import pytest

from fleet.crash_document import pack, read_document
from fleet.memory_crashes import MemoryCrashes
from fleet.settings import load
from stoker.web import drawing
from stoker.web.drawing import DrawingError, Drawings, policy
from stoker.web.watch import Door
from tests.contracts.crashes import document, failure
from tests.stoker.web.rig import Staged, served

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
async def crashes() -> MemoryCrashes:
    kept = MemoryCrashes(lambda: 1_800_000_000.0)
    await kept.failed([failure("c1")])
    return kept


async def keep(crashes: MemoryCrashes, crash_id: str) -> None:
    await crashes.captured(*pack(read_document(document(crash_id), crash_id), {}))


def drawings(crashes: MemoryCrashes, folder: Path, body: str) -> Drawings:
    script = folder / "draw.py"
    script.write_text(f"import sys\nread = sys.stdin.buffer.read()\n{body}\n", encoding="utf-8")
    return Drawings(Door(lambda: crashes), (sys.executable, "-I", "-S", str(script)))


async def refused(drawn: Drawings, crash_id: str) -> tuple[int, str]:
    with pytest.raises(DrawingError) as caught:
        await drawn.picture(crash_id)
    return caught.value.status, str(caught.value)


async def test_a_picture_is_drawn_once(crashes: MemoryCrashes, tmp_path: Path) -> None:
    await keep(crashes, "c1")
    log = tmp_path / "log"
    drawn = drawings(crashes, tmp_path, f"open({str(log)!r}, 'a').write('x'); print('<svg/>')")
    assert [b"<svg/>\n"] * 3 == list(await asyncio.gather(*(drawn.picture("c1") for _ in range(3))))
    assert "x" == log.read_text(encoding="utf-8")


@pytest.mark.parametrize("crash_id", ["c2", "../c1", "", "a" * 200, "c1\n"])
async def test_an_unknown_crash_is_not_found(crashes: MemoryCrashes, tmp_path: Path, crash_id: str) -> None:
    status, _ = await refused(drawings(crashes, tmp_path, ""), crash_id)
    assert 404 == status


async def test_what_cannot_be_drawn_says_why(crashes: MemoryCrashes, tmp_path: Path) -> None:
    await keep(crashes, "c1")
    drawn = drawings(crashes, tmp_path, "sys.exit('no frames in it')")
    assert (422, "cannot be drawn: no frames in it") == await refused(drawn, "c1")


async def test_a_drawing_that_takes_too_long_is_ended(
    crashes: MemoryCrashes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep(crashes, "c1")
    monkeypatch.setattr(drawing, "DRAW_WITHIN_S", 0.3)
    status, _ = await refused(drawings(crashes, tmp_path, "import threading; threading.Event().wait()"), "c1")
    assert 504 == status


async def test_a_picture_without_measure_is_refused(
    crashes: MemoryCrashes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep(crashes, "c1")
    monkeypatch.setattr(drawing, "LARGEST_BYTES", 1000)
    status, _ = await refused(drawings(crashes, tmp_path, "print('x' * 2000)"), "c1")
    assert 413 == status


async def test_a_crowd_that_asks_for_pictures_is_told_to_wait(crashes: MemoryCrashes, tmp_path: Path) -> None:
    await keep(crashes, "c1")
    drawn = drawings(crashes, tmp_path, "print('<svg/>')")
    answers = await asyncio.gather(*(drawn.picture("c1") for _ in range(20)), return_exceptions=True)
    assert 20 - drawing.MOST_WAITING == sum(isinstance(answer, DrawingError) for answer in answers)


def test_only_the_pictures_own_first_script_may_run() -> None:
    said = policy(b"<svg><script><![CDATA[\nown\n]]></script><script><![CDATA[other]]></script></svg>")
    own = base64.b64encode(hashlib.sha256(b"\nown\n").digest()).decode()
    assert f"script-src 'sha256-{own}';" in said
    assert "sandbox allow-scripts" in said
    assert "script-src 'none'" in policy(b"<svg/>")


async def test_the_real_drawing_of_a_crash_is_served() -> None:
    staged = Staged()
    await staged.crashes.failed([failure("c1")])
    await keep(staged.crashes, "c1")
    async with (
        served(load(None, app="production"), staged) as page,
        aiohttp.ClientSession() as client,
    ):
        async with client.get(f"{page.address}/crashes/c1.svg") as answer:
            text = await answer.text()
            assert (200, "image/svg+xml") == (answer.status, answer.content_type), text
            assert text.startswith("<svg")
            assert "sandbox allow-scripts" in answer.headers["Content-Security-Policy"]
        async with client.get(f"{page.address}/live") as answer:
            line = [await answer.content.readline() for _ in range(4)][-1]
            assert json.loads(line.removeprefix(b"data: "))["crashes"] is not None
